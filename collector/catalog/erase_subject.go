package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// describe works out what names a person.
func (c *Catalog) describe(tx *store.Tx, e Erasing) (*storagepb.ErasureRecord, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("name an erasure: %w", err)
	}
	d := description{tx: tx, own: make(map[store.Ref]bool), record: &storagepb.ErasureRecord{Id: id.String(), At: timestamppb.New(c.now()), By: e.By, Reason: e.Reason,
		Counts: make(map[string]int64), Subject: new(storagepb.ErasureSubject)}}
	for _, s := range e.Person.GetSources() {
		d.own[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}] = true
	}
	for ref := range d.own {
		d.record.Subject.Records = append(d.record.Subject.Records, &storagepb.ErasedRecord{Source: ref.Source, SourceId: ref.ID})
		o, err := tx.Observation(ref)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", ref, err)
		}
		p := o.GetPerson()
		if err := d.name(p.GetName(), p.GetGivenName(), p.GetFamilyName()); err != nil {
			return nil, err
		}
		for _, k := range identity.NewPersonClaim(o, true).Keys {
			if err := d.key(k); err != nil {
				return nil, err
			}
		}
	}
	for _, text := range e.Also {
		if k, ok := anyKey(text); ok {
			err = d.key(k)
		} else {
			err = d.name(text, "", "")
		}
		if err != nil {
			return nil, err
		}
	}
	for m := range d.marks(c.store) {
		d.record.Marks = append(d.record.Marks, m[:])
	}
	slices.SortFunc(d.record.Marks, slices.Compare)
	return d.record, nil
}

// anyKey reads an identifier of a person, whatever kind it is of.
func anyKey(text string) (identity.Key, bool) {
	for _, kind := range []string{identity.Email, identity.Account} {
		if k, ok := identity.PersonKey(kind, "", text); ok {
			return k, true
		}
	}
	return identity.Key{}, false
}

// description gathers what names a person.
type description struct {
	tx     *store.Tx
	own    map[store.Ref]bool
	record *storagepb.ErasureRecord
}

// others tells whether somebody else carries an identifier.
func (d *description) others(k identity.Key) (bool, error) {
	refs, err := d.tx.PersonClaimants(k.Identifier(), identity.MaxClaimants)
	return slices.ContainsFunc(refs, func(r store.Ref) bool { return !d.own[r] }), err
}

// key takes in an identifier, unless somebody else carries it too.
func (d *description) key(k identity.Key) error {
	shared, err := d.others(k)
	if err != nil {
		return err
	}
	s := d.record.GetSubject()
	if shared {
		d.keep("an identifier of kind " + k.Kind + " stays, which records of somebody else have as well")
		return nil
	}
	switch k.Kind {
	case identity.Email:
		s.Addresses = add(s.Addresses, k.Value)
		local, _, _ := strings.Cut(k.Value, "@")
		return d.login(local)
	case identity.Account:
		s.Accounts = add(s.Accounts, k.Scope+`\`+k.Value)
		return d.login(k.Value)
	case identity.EmployeeID:
		s.Numbers = add(s.Numbers, strings.ToLower(k.Value))
	}
	return nil
}

// name takes in a name of a person, in the orders in which systems write it,
// unless it is of one word only or somebody else's as well.
func (d *description) name(whole, given, family string) error {
	for _, n := range []string{whole, given + " " + family, family + ", " + given, family + " " + given} {
		n = strings.ToLower(strings.Join(strings.Fields(n), " "))
		if strings.Count(n, " ") == 0 || strings.HasPrefix(n, ",") || strings.HasSuffix(n, ",") {
			continue
		}
		namesake := false
		err := d.tx.ScanPeople("", func(p *adminpb.Person) error {
			mine := slices.ContainsFunc(p.GetSources(), func(s *pb.AssetSource) bool { return d.own[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}] })
			if namesake = !mine && strings.EqualFold(p.GetName(), n); namesake {
				return store.Stop
			}
			return nil
		})
		if err != nil {
			return err
		}
		if namesake {
			d.keep("the name stays where nothing else names the person, since somebody else has it as well")
			continue
		}
		d.record.Subject.Names = add(d.record.Subject.Names, n)
	}
	return nil
}

// login takes in the name of an account without its domain, as devices know it,
// unless it may be somebody else's.
func (d *description) login(name string) error {
	if len(name) < 4 {
		d.keep("an account name of fewer than four letters stays where no domain stands with it")
		return nil
	}
	shared := false
	err := d.tx.ScanPeople("", func(p *adminpb.Person) error {
		if slices.ContainsFunc(p.GetSources(), func(s *pb.AssetSource) bool { return d.own[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}] }) {
			return nil
		}
		_, account, _ := strings.Cut(p.GetAccount(), `\`)
		shared = strings.EqualFold(account, name)
		for _, address := range append(slices.Clone(p.GetEmails()), p.GetUpn()) {
			local, _, _ := strings.Cut(address, "@")
			shared = shared || strings.EqualFold(local, name)
		}
		if shared {
			return store.Stop
		}
		return nil
	})
	if err != nil {
		return err
	}
	if shared {
		d.keep("an account name stays where no domain stands with it, since somebody else has it as well")
		return nil
	}
	d.record.Subject.Logins = add(d.record.Subject.Logins, name)
	return nil
}

func (d *description) keep(what string) { d.record.Kept = add(d.record.Kept, what) }

func add(to []string, s string) []string {
	if slices.Contains(to, s) {
		return to
	}
	return append(to, s)
}

// marks returns what the person will be known by again.
func (d *description) marks(st *store.Store) map[store.Mark]bool {
	out := make(map[store.Mark]bool)
	s := d.record.GetSubject()
	for kind, values := range map[string][]string{identity.Email: s.GetAddresses(), identity.Account: s.GetAccounts(), identity.EmployeeID: s.GetNumbers(), kindLogin: s.GetLogins()} {
		for _, v := range values {
			out[st.Mark(kind, v)] = true
		}
	}
	return out
}
