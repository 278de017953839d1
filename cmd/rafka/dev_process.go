package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

const (
	devGrace    = 30 * time.Second // for a broker to stop before it is killed
	devSoon     = 10 * time.Second // an end within it counts as one of a broker that cannot start
	maxDevPause = 30 * time.Second // between two starts
	tailBytes   = 2 << 10          // of a log, for the error of a broker that did not start
)

// devEvent is something that happened to a broker's process.
type devEvent struct {
	node  *devNode
	pid   int
	ready bool   // it serves; else it has ended
	why   string // it ended
	lived time.Duration
}

// start starts a broker's process after a pause; its events follow, the last of which is its end. When stop is closed it is told to stop.
func (d *devCluster) start(n *devNode, stop <-chan struct{}, pause time.Duration) {
	go func() {
		select {
		case <-time.After(pause):
			d.events <- d.process(n, stop)
		case <-stop:
			d.events <- devEvent{node: n, why: "stopped"}
		}
	}()
}

// process runs a broker to its end.
func (d *devCluster) process(n *devNode, stop <-chan struct{}) devEvent {
	// On Linux the child dies with the thread that made it, so that must be one that lives as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := devEvent{node: n}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		end.why = err.Error()
		return end
	}
	defer log.Close()
	cmd := exec.Command(d.program, n.args...)
	cmd.Stderr = log
	cmd.SysProcAttr = childAttributes()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		end.why = err.Error()
		return end
	}
	began := time.Now()
	end.pid = cmd.Process.Pid
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ended:
			return
		case <-stop:
		}
		_ = askToStop(cmd.Process) // it may have ended by itself
		select {
		case <-ended:
		case <-time.After(devGrace):
			_ = cmd.Process.Kill()
		}
	}()
	lines := bufio.NewScanner(out)
	for told := false; lines.Scan(); {
		fmt.Fprintln(log, lines.Text())
		if !told && strings.HasPrefix(lines.Text(), "ready in ") {
			told = true
			d.events <- devEvent{node: n, pid: end.pid, ready: true}
		}
	}
	err = cmd.Wait()
	close(ended)
	<-stopped
	end.lived, end.why = time.Since(began), "done"
	if err != nil {
		end.why = err.Error()
	}
	return end
}

// pause is how long a broker rests before it is started again: longer each time that it ends soon after its start.
func (n *devNode) pause(lived time.Duration) time.Duration {
	if n.rests++; lived >= devSoon {
		n.rests = 1
	}
	return min(time.Second<<(min(n.rests, 10)-1), maxDevPause)
}

// logTail is the end of a log, whole lines of it.
func logTail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	text := strings.TrimSpace(string(data))
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}
