package controller_test

import (
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// What a broker understands is written down once all brokers can read that, and not before.
func TestRegistrationSaysWhatABrokerUnderstandsFromItsLevelOn(t *testing.T) {
	env := &controller.Env{}
	for level := metadata.LevelFounding; level <= metadata.LevelBrokerFeatures; level++ {
		img := fold(t, metadata.Empty(), []metadata.Record{&metadata.ClusterRecord{ID: "c"}, &metadata.FeatureLevelRecord{Name: metadata.FeatureVersion, Level: level}})
		records, _, err := controller.RegisterBroker(env, img, controller.Registration{
			Broker: metadata.Broker{ID: 1, Incarnation: kafka.UUID{1}}, ClusterID: "c", Features: map[string]int16{metadata.FeatureVersion: 7},
		})
		if err != nil {
			t.Fatal(err)
		}
		img = fold(t, img, records)
		if said, has := img.Brokers[1].Features[metadata.FeatureVersion]; has != (level >= metadata.LevelBrokerFeatures) || has && said != 7 {
			t.Fatalf("at level %d it is written that it understands %d, %v", level, said, has)
		}
	}
}

// A level is refused while a broker is registered that has said that it does not know it, also one that is down.
func TestUpdateFeaturesAsksWhatIsWritten(t *testing.T) {
	env := &controller.Env{Supports: func(kafka.BrokerID, string) (int16, bool) { return 0, false }}
	for what, b := range map[string]metadata.Broker{
		"down": {ID: 2, Incarnation: kafka.UUID{2}, Fenced: true, Features: map[string]int16{metadata.FeatureVersion: 1}},
		"up":   {ID: 2, Incarnation: kafka.UUID{2}, Features: map[string]int16{metadata.FeatureVersion: 1}},
	} {
		img := fold(t, metadata.Empty(), []metadata.Record{&metadata.FeatureLevelRecord{Name: metadata.FeatureVersion, Level: 1}, &metadata.BrokerRecord{Broker: b}})
		update := []controller.FeatureUpdate{{Name: metadata.FeatureVersion, Level: 2, Kind: controller.FeatureUpgrade}}
		if records, errs := controller.UpdateFeatures(env, img, update); kafka.CodeOf(errs[0]) != kafka.InvalidUpdateVersion || len(records) > 0 {
			t.Fatalf("%s: %v", what, errs)
		}
		b.Features = map[string]int16{metadata.FeatureVersion: 2}
		img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: b}})
		if records, errs := controller.UpdateFeatures(env, img, update); errs[0] != nil || len(records) != 1 {
			t.Fatalf("%s, upgraded: %v", what, errs)
		}
	}
}
