package broker

import (
	"log/slog"
	"strings"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
)

// rootLogger is the only logger there is, under the name that Kafka's tools use.
const rootLogger = "root"

// logLevels are the levels of Kafka's loggers, loudest last. FATAL and TRACE lie beyond slog's own.
var logLevels = []struct {
	name  string
	level slog.Level
}{
	{"FATAL", slog.LevelError + 4},
	{"ERROR", slog.LevelError},
	{"WARN", slog.LevelWarn},
	{"INFO", slog.LevelInfo},
	{"DEBUG", slog.LevelDebug},
	{"TRACE", slog.LevelDebug - 4},
}

// levelName is the name of the quietest level that lets records of l through.
func levelName(l slog.Level) string {
	for _, known := range logLevels {
		if l >= known.level {
			return known.name
		}
	}
	return logLevels[len(logLevels)-1].name
}

// alterLoggers sets levels of this process, all or nothing. They are no metadata: a restart forgets them, as in Kafka.
func (a *admin) alterLoggers(r *AlterResource, validateOnly bool) error {
	if err := a.checkLoggers(r.Name); err != nil {
		return err
	}
	if r.Replace {
		return kafka.Errorf(kafka.InvalidRequest, "AlterConfigs is deprecated and does not support the resource type BROKER_LOGGER")
	}
	if err := controller.CheckChanges(r.Changes); err != nil {
		return err
	}
	level := a.opts.LogLevel.Level()
	for _, c := range r.Changes {
		switch {
		case c.Op == OpAppend || c.Op == OpSubtract:
			return kafka.Errorf(kafka.InvalidRequest, "%s operation is not allowed for the BROKER_LOGGER resource", opName(c.Op))
		case !strings.EqualFold(c.Name, rootLogger):
			return kafka.Errorf(kafka.InvalidConfig, "Logger %s does not exist!", c.Name)
		case c.Op == OpDelete:
			return kafka.Errorf(kafka.InvalidRequest, "Removing the log level of the %s logger is not allowed", rootLogger)
		}
		known := false
		var names []string
		for _, l := range logLevels {
			names = append(names, l.name)
			if l.name == *c.Value {
				level, known = l.level, true
			}
		}
		if !known {
			return kafka.Errorf(kafka.InvalidConfig, "Cannot set the log level of %s to %s as it is not a supported log level. Valid log levels are %s", c.Name, *c.Value, strings.Join(names, ", "))
		}
	}
	if !validateOnly {
		a.opts.LogLevel.Set(level)
	}
	return nil
}

func opName(op ConfigOp) string {
	if op == OpAppend {
		return "APPEND"
	}
	return "SUBTRACT"
}

// checkLoggers refuses the loggers of other brokers.
func (a *admin) checkLoggers(broker string) error {
	if broker == "" {
		return kafka.Errorf(kafka.InvalidRequest, "Broker id must not be empty")
	}
	if broker != a.nodeName() {
		return kafka.Errorf(kafka.InvalidRequest, "Unexpected broker id, expected %s but received %s", a.nodeName(), broker)
	}
	return nil
}

func (a *admin) describeLoggers(q *ConfigQuery) ConfigAnswer {
	if err := a.checkLoggers(q.Name); err != nil {
		return ConfigAnswer{Err: err}
	}
	if !q.wants(rootLogger) {
		return ConfigAnswer{}
	}
	level := levelName(a.opts.LogLevel.Level())
	return ConfigAnswer{Configs: []DescribedConfig{{Name: rootLogger, Value: &level, Source: SourceBrokerLogger, Type: int8(config.String)}}}
}
