package controller

import (
	"maps"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Kinds of FeatureUpdate, with Kafka's codes.
const (
	FeatureUpgrade         int8 = 1
	FeatureSafeDowngrade   int8 = 2
	FeatureUnsafeDowngrade int8 = 3
)

// FeatureUpdate asks that a feature is finalized at a level.
type FeatureUpdate struct {
	Name  string
	Level int16
	Kind  int8
}

// UpdateFeatures finalizes levels, all or none: when one is refused, the error is that of all. Levels only rise (MET-4), because what has been
// written since cannot be read below them; so the way back to an older release is open until the level is raised and not after.
//
// Errors: InvalidUpdateVersion, InvalidRequest (a feature twice).
func UpdateFeatures(env *Env, img *metadata.Image, updates []FeatureUpdate) ([]metadata.Record, []error) {
	var records []metadata.Record
	errs := make([]error, len(updates))
	for i, u := range updates {
		err := checkFeature(env, img, u)
		if err == nil && slices.ContainsFunc(updates[:i], func(o FeatureUpdate) bool { return o.Name == u.Name }) {
			err = kafka.Errorf(kafka.InvalidRequest, "The feature %s is named more than once.", u.Name)
		}
		if err != nil {
			for j := range errs {
				errs[j] = err
			}
			return nil, errs
		}
		if u.Level > img.Features[u.Name] {
			records = append(records, &metadata.FeatureLevelRecord{Name: u.Name, Level: u.Level})
		}
	}
	return records, errs
}

func checkFeature(env *Env, img *metadata.Image, u FeatureUpdate) error {
	refuse := func(format string, args ...any) error {
		why := kafka.Errorf(kafka.InvalidUpdateVersion, format, args...)
		return kafka.Errorf(kafka.InvalidUpdateVersion, "Invalid update version %d for feature %s. %s", u.Level, u.Name, why.Message)
	}
	now, most := img.Features[u.Name], metadata.SupportedLevel(u.Name)
	switch {
	case u.Kind < FeatureUpgrade || u.Kind > FeatureUnsafeDowngrade:
		return refuse("The controller does not support the given upgrade type.")
	case u.Level < 0:
		return refuse("A feature version cannot be less than 0.")
	case most == 0:
		return refuse("Only %s can be raised; the levels of Kafka's features come with the release.", metadata.FeatureVersion)
	case u.Level > most:
		return refuse("Broker %d, which decides, knows it up to level %d; start a newer release on every broker first.", img.Controller, most)
	case u.Level < now && u.Kind == FeatureUpgrade:
		return refuse("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case u.Level < now:
		return refuse("It is at level %d, and levels only rise: what has been written since could not be read at a lower one. Restore a backup from before the upgrade instead.", now)
	case u.Level > now && u.Kind != FeatureUpgrade:
		return refuse("Can't downgrade to a newer version.")
	}
	if env.Supports == nil || u.Level == now {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(img.Brokers)) {
		said := img.Brokers[id].Features
		if img.Brokers[id].Fenced {
			if said != nil && said[u.Name] < u.Level {
				return refuse("Broker %d, which is down, knew it up to level %d; start a newer release there, or decommission it.", id, said[u.Name])
			}
			continue // it is asked when it comes back
		}
		level, known := env.Supports(id, u.Name)
		if !known && said != nil {
			level, known = said[u.Name], true
		}
		switch {
		case !known:
			return refuse("Broker %d has not said which levels it knows: it is of a release that does not say it, or the controller has just begun. Start a newer release there, or try again in a moment.", id)
		case level < u.Level:
			return refuse("Broker %d knows it up to level %d; start a newer release there first.", id, level)
		}
	}
	return nil
}
