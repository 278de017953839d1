package grpcsrv

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
)

// What stands between the marks stands in docs/guide/grpc.md too.

// guide:begin

func talk(ctx context.Context, address string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	rafka := rafkapb.NewBrokerServiceClient(conn)

	stored, err := rafka.Publish(ctx, &rafkapb.PublishRequest{
		Topic: "greetings", Key: "alice", Payload: "hello, world",
		Headers: []*rafkapb.Header{{Key: "lang", Value: []byte("en")}},
	})
	if err != nil {
		return err
	}
	fmt.Println("stored as", stored.GetMessageId())

	stream, err := rafka.Consume(ctx, &rafkapb.ConsumeRequest{Topic: "greetings", StopAtEnd: true})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err // io.EOF at the end
		}
		fmt.Printf("%d: %s\n", m.GetOffset(), m.GetPayload())
	}
}

// guide:end

func Example() {
	address, stop := exampleServer()
	defer stop()
	if err := talk(context.Background(), address); err != nil && err.Error() != "EOF" {
		log.Fatal(err)
	}
	// Output:
	// stored as greetings-0-0
	// 0: hello, world
}

// The guide's program is the one that runs above.
func TestGuideIsTrue(t *testing.T) {
	source, err := os.ReadFile("guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(source), "// guide:begin\n\n")
	program, _, found := strings.Cut(rest, "\n// guide:end\n")
	guide, err := os.ReadFile("../../../docs/guide/grpc.md")
	if err != nil {
		t.Fatal(err)
	}
	if !found || !strings.Contains(string(guide), program) {
		t.Errorf("docs/guide/grpc.md does not hold this program:\n%s", program)
	}
}
