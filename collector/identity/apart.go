package identity

import (
	"fmt"
	"slices"
	"time"
)

// Three times of the unique-source rule. slack is how far two records of one
// device may overlap: clocks differ, and a machine that is set up anew is
// enrolled while its old record still has a check-in under way. settled is how
// long a record must have been silent, while another one of the same device is
// active, to count as given up: machines that sleep overnight are not. setup is
// how long it takes at least to install a machine anew.
const (
	slack   = time.Hour
	settled = 24 * time.Hour
	setup   = 30 * time.Minute
)

// objection is a reason why two records are not one device. Its weight is how
// much it speaks against, as a power of two of the odds; live is set where the
// two were active at once.
type objection struct {
	reason string
	weight float64
	live   bool
}

// apart tells why two records cannot be one device, nothing where they can. It
// is symmetric.
func apart(a, b *Claim) objection {
	switch {
	case differ(a.Weak, b.Weak, Maker):
		return objected(7, "one is made by %s and the other by %s", of(a.Weak, Maker)[0].Value, of(b.Weak, Maker)[0].Value)
	case differ(a.Keys, b.Keys, Serial):
		return objected(6, "they have different serial numbers, %s and %s", of(a.Keys, Serial)[0].Value, of(b.Keys, Serial)[0].Value)
	case differ(a.Keys, b.Keys, Part):
		return objected(6, "they have different serial numbers, %s and %s", of(a.Keys, Part)[0].Value, of(b.Keys, Part)[0].Value)
	case differ(a.Weak, b.Weak, Product):
		return objected(7, "one is a model %s and the other a %s", of(a.Weak, Product)[0].Value, of(b.Weak, Product)[0].Value)
	// A cloud gives each copy an id of its own, which the guest learns at boot.
	case (a.Virtual || b.Virtual) && !agree(a.Keys, b.Keys, CloudInstance) && strangers(a, b):
		return objection{reason: "copies of a virtual machine share their identifiers, and neither network cards nor host names agree", weight: 9}
	case differ(a.Keys, b.Keys, UUID) && !sameChassis(a, b) && (a.Virtual || b.Virtual || !agree(a.Weak, b.Weak, Hostname)):
		return objection{reason: "they have different hardware UUIDs, and nothing else shows that a board was replaced", weight: 2}
	}
	if rivals(a, b) {
		return twins(a, b)
	}
	return objection{}
}

// rivals tells of two records of a source that lists each live device once.
func rivals(a, b *Claim) bool {
	return a.Unique && b.Unique && a.Ref.Source == b.Ref.Source && a.Ref != b.Ref
}

// objected names the two values in their order, so that the reason is the same
// from either side.
func objected(weight float64, format, a, b string) objection {
	return objection{reason: fmt.Sprintf(format, min(a, b), max(a, b)), weight: weight}
}

// strangers tells of two guests whose network cards differ, or, where one of
// them states none, whose host names do.
func strangers(a, b *Claim) bool {
	both, common := share(a.Weak, b.Weak, MAC)
	if both {
		return !common
	}
	return differ(a.Weak, b.Weak, Hostname)
}

// sameChassis tells whether something that is built in shows that two records
// are one machine of metal.
func sameChassis(a, b *Claim) bool {
	return agree(a.Weak, b.Weak, MAC, Disk, Board) || sharedFactorySerial(a, b)
}

func sharedFactorySerial(a, b *Claim) bool {
	if a.Virtual || b.Virtual {
		return false
	}
	maker := ""
	for _, k := range slices.Concat(of(a.Weak, Maker), of(b.Weak, Maker)) {
		maker = k.Value
	}
	return slices.ContainsFunc(of(a.Keys, Serial), func(k Key) bool {
		return factoryShape(maker, k) && slices.Contains(b.Keys, k)
	})
}

// twins judges two records of a source that lists each live device once: why
// they are two devices, nothing where one has followed the other or where one
// machine is seen to be both.
func twins(a, b *Claim) objection {
	if a.Model != "" && b.Model != "" && a.Model != b.Model {
		return objected(4, "one is a %s and the other a %s", a.Model, b.Model)
	}
	if b.Until.Before(a.Until) || (b.Until.Equal(a.Until) && b.From.Before(a.From)) {
		a, b = b, a // a is the one that was heard of less lately
	}
	parts := agree(a.Weak, b.Weak, MAC, Board)
	if a.Until.After(b.From.Add(slack)) {
		if parts && !a.Virtual && !b.Virtual && (alternate(a, b) || sharedFactorySerial(a, b)) {
			return objection{}
		}
		return objection{reason: a.Ref.Source + " lists each live device once, and both were active at the same time", weight: 12, live: true}
	}
	anew := parts || (sharedFactorySerial(a, b) && b.From.Sub(a.Until) >= setup)
	if b.Until.Sub(a.Until) < settled && !anew {
		return objection{reason: a.Ref.Source + " lists each live device once, and neither has been silent for a day", weight: 8, live: true}
	}
	return objection{}
}

// succeeds tells whether two records of a source that lists each device once
// are of one device by a number that its maker gave it, one after the other.
func succeeds(a, b *Claim) bool {
	return rivals(a, b) && sharedFactorySerial(a, b) && twins(a, b).reason == ""
}

// alternate tells whether the later of two records began with a boot after the
// other was last heard of, as each turn of a dual boot does, or whether both
// tell of one and the same boot.
func alternate(a, b *Claim) bool {
	if b.Booted.IsZero() {
		return false
	}
	sameBoot := !a.Booted.IsZero() && a.Booted.Sub(b.Booted).Abs() < time.Minute
	return sameBoot || !b.Booted.Before(a.Until)
}
