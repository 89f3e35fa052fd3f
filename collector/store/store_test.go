package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func open(t testing.TB) *Store {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func update(t testing.TB, s *Store, fn func(*Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func encode(t testing.TB, rows ...*pb.Software) []byte {
	t.Helper()
	b, err := section.Encode(&pb.Device{Software: rows}, section.Software)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, s *Store, rows ...*pb.Software) []Row {
	t.Helper()
	out, err := s.ParseRows(encode(t, rows...), section.FieldDeviceSoftware)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var ref = Ref{Source: "agent", ID: "a1"}

var day = time.Unix(1_700_000_000, 0)

func replace(t testing.TB, s *Store, rows []Row) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		_, _, err := tx.ReplaceSoftware(ref, rows, day)
		return err
	})
}

func software(t testing.TB, s *Store, ref Ref) []*pb.Software {
	t.Helper()
	var rows []*pb.Software
	err := s.View(context.Background(), func(tx *Tx) error {
		return tx.Software(ref, func(r *pb.Software) error {
			rows = append(rows, r)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

var unordered = cmp.Options{protocmp.Transform(), cmpopts.SortSlices(func(a, b *pb.Software) bool {
	x, _ := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	y, _ := proto.MarshalOptions{Deterministic: true}.Marshal(b)
	return bytes.Compare(x, y) < 0
})}

func TestSoftwareComesBackAsItWasStated(t *testing.T) {
	s := open(t)
	want := []*pb.Software{
		{Kind: "deb", Name: "bash", Version: "5.2-1", Architecture: "amd64", InstalledAt: &timestamppb.Timestamp{Seconds: 1700000000}, SizeBytes: proto.Int64(7 << 20)},
		{Kind: "deb", Name: "bash", Version: "5.2-1", Architecture: "i386", LastUsedAt: &timestamppb.Timestamp{Seconds: 1700000001}},
		{Kind: "app", Name: "Ünïcode", Location: "/Applications/Ü.app", ProductId: "com.example.u"},
		{Kind: "app", Name: "Twice"}, {Kind: "app", Name: "Twice"},
	}
	rows := parse(t, s, want...)
	replace(t, s, rows)
	if diff := cmp.Diff(want, software(t, s, ref), unordered); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A second store over the same data, without what the first remembers.
	again, err := Open(context.Background(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, software(t, again, ref), unordered); diff != "" {
		t.Errorf("after reopening (-want +got):\n%s", diff)
	}
}

// Any sequence of changes leaves the rows that a plain list would hold.
func TestSoftwareFollowsAnyChanges(t *testing.T) {
	title := rapid.Custom(func(t *rapid.T) *pb.Software {
		s := &pb.Software{Kind: "deb", Name: fmt.Sprint("p", rapid.IntRange(0, 30).Draw(t, "name")), Version: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "version"))}
		if at := rapid.Int64Range(0, 3).Draw(t, "at"); at > 0 {
			s.InstalledAt = &timestamppb.Timestamp{Seconds: at}
		}
		return s
	})
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t)
		model := rapid.SliceOfN(title, 0, 60).Draw(rt, "first")
		first := parse(t, s, model...)
		replace(t, s, first)
		for range rapid.IntRange(0, 30).Draw(rt, "changes") {
			var removed []*pb.Software
			for range rapid.IntRange(0, min(5, len(model))).Draw(rt, "removals") {
				i := rapid.IntRange(0, len(model)-1).Draw(rt, "victim")
				removed = append(removed, model[i])
				model = slices.Delete(slices.Clone(model), i, i+1)
			}
			added := rapid.SliceOfN(title, 0, 5).Draw(rt, "added")
			model = append(slices.Clone(model), added...)
			gone, come := parse(t, s, removed...), parse(t, s, added...)
			count := 0
			update(t, s, func(tx *Tx) (err error) {
				var made ChangedSoftware
				made, err = tx.ChangeSoftware(ref, gone, come, day)
				count = made.Now
				return err
			})
			if count != len(model) {
				rt.Fatalf("%d rows counted, want %d", count, len(model))
			}
		}
		if diff := cmp.Diff(model, software(t, s, ref), unordered, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// A removal that does not fit is passed over; nothing else is lost by it.
func TestRemovingWhatIsNotHeldRemovesNothingElse(t *testing.T) {
	s := open(t)
	have, stranger := parse(t, s, &pb.Software{Name: "a"}), parse(t, s, &pb.Software{Name: "b"})
	replace(t, s, have)
	update(t, s, func(tx *Tx) error {
		_, err := tx.ChangeSoftware(ref, stranger, nil, day)
		return err
	})
	if got := software(t, s, ref); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("rows %v", got)
	}
}

func TestParseRowsRefuses(t *testing.T) {
	s := open(t)
	many := bytes.Repeat(encode(t, &pb.Software{Name: "x"}), MaxSoftwareRows+1)
	for name, tc := range map[string]struct {
		in   []byte
		want string
	}{
		"too many rows": {many, "more than 50000 rows"},
		"no name":       {encode(t, &pb.Software{Kind: "deb"}), "it has no name"},
		"long text":     {encode(t, &pb.Software{Name: strings.Repeat("x", MaxSoftwareString+1)}), "at most 4096"},
		"NUL":           {encode(t, &pb.Software{Name: "a\x00b"}), "NUL character"},
		"not UTF-8":     {[]byte{0xc2, 0x02, 0x04, 0x12, 0x02, 0xff, 0xfe}, "not valid UTF-8"},
		"far future":    {encode(t, &pb.Software{Name: "a", InstalledAt: &timestamppb.Timestamp{Seconds: maxTime + 1}}), "1970 to 9999"},
		"truncated":     {encode(t, &pb.Software{Name: "abc"})[:6], "malformed"},
		"wrong type":    {[]byte{0xc2, 0x02, 0x02, 0x10, 0x01}, "want text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.ParseRows(tc.in, section.FieldDeviceSoftware)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// What a newer agent says beyond our knowledge is kept.
func TestUnknownFieldsOfARowAreKept(t *testing.T) {
	s := open(t)
	body := append(encode(t, &pb.Software{Name: "a"})[3:], 0xf8, 0x3f, 0x07) // field 1023, varint 7
	newer := append([]byte{0xc2, 0x02, byte(len(body))}, body...)
	rows, err := s.ParseRows(newer, section.FieldDeviceSoftware)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, s, rows)
	got := software(t, s, ref)
	if len(got) != 1 || len(got[0].ProtoReflect().GetUnknown()) != 3 {
		t.Errorf("got %v with unknown %x", got, got[0].ProtoReflect().GetUnknown())
	}
}

func TestPackedSizeOfAThousandTitles(t *testing.T) {
	s := open(t)
	var in []*pb.Software
	for i := range 1000 {
		in = append(in, &pb.Software{Kind: "deb", Name: fmt.Sprintf("package-%d", i), Version: fmt.Sprint(i, ".1-2"), Publisher: "Debian", Architecture: "amd64",
			InstalledAt: &timestamppb.Timestamp{Seconds: 1700000000 + int64(i%300)*86400}, SizeBytes: proto.Int64(int64(i) << 12)})
	}
	if n := len(encodeBase(entries(parse(t, s, in...)))); n > 12<<10 {
		t.Errorf("a device with 1,000 titles takes %d bytes, want at most 12 KB", n)
	} else {
		t.Logf("%d bytes", n)
	}
}

func TestLargeRecordsAreSplitAndLeaveNothingBehind(t *testing.T) {
	s := open(t)
	a := &pb.Asset{Id: "x"}
	for i := range 60_000 {
		a.Redirects = append(a.Redirects, fmt.Sprintf("%x", hashParts([]byte(fmt.Sprint(i)))))
	}
	update(t, s, func(tx *Tx) error {
		_, _, err := tx.PutAsset(a)
		return err
	})
	err := s.View(context.Background(), func(tx *Tx) error {
		got, err := tx.Asset("x")
		if diff := cmp.Diff(a, got, protocmp.Transform()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *Tx) error { return tx.DeleteAsset("x") })
	_ = s.db.View(context.Background(), func(tx kv.Tx) error {
		return tx.Scan([]byte(prefixPart), nil, func(k, _ []byte) error {
			t.Errorf("part %q is left behind", k)
			return nil
		})
	})
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	s := open(t)
	_ = s.db.Update(context.Background(), func(tx kv.Tx) error { return tx.Set([]byte(keySchema), []byte{SchemaVersion + 1}) })
	if _, err := Open(context.Background(), s.db); err == nil || !strings.Contains(err.Error(), "start the newer collector") {
		t.Errorf("error %v", err)
	}
}

func TestAuditLogShowsTampering(t *testing.T) {
	s := open(t)
	for i := range 5 {
		update(t, s, func(tx *Tx) error {
			return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(time.Unix(int64(i), 0)), Actor: "ann", Action: "token.create"})
		})
	}
	read := func() (n int, err error) {
		err = s.View(context.Background(), func(tx *Tx) error {
			return tx.ScanAudit(func(*storagepb.AuditRecord) error { n++; return nil })
		})
		return n, err
	}
	if n, err := read(); n != 5 || err != nil {
		t.Fatalf("%d entries, %v", n, err)
	}
	update(t, s, func(tx *Tx) error {
		r := new(storagepb.AuditRecord)
		if err := tx.get(auditKey(3), r); err != nil {
			return err
		}
		r.Actor = "bob"
		return tx.put(auditKey(3), r)
	})
	if n, err := read(); n != 2 || err == nil {
		t.Errorf("after an entry was changed: %d entries read, error %v", n, err)
	}
}

func TestAuditLogShowsThatItsEndIsMissing(t *testing.T) {
	s := open(t)
	for range 3 {
		update(t, s, func(tx *Tx) error {
			return tx.AppendAudit(&storagepb.AuditRecord{Actor: "ann", Action: "token.create"})
		})
	}
	verify := func() (n int64, err error) {
		err = s.View(context.Background(), func(tx *Tx) error {
			n, _, err = tx.VerifyAudit(context.Background())
			return err
		})
		return n, err
	}
	if n, err := verify(); n != 3 || err != nil {
		t.Fatalf("%d entries, %v", n, err)
	}
	update(t, s, func(tx *Tx) error { return tx.remove(auditKey(3)) })
	if _, err := verify(); !errors.Is(err, ErrAudit) {
		t.Errorf("without the last entry: %v", err)
	}
}

func FuzzParseRows(f *testing.F) {
	f.Add(encode(f, &pb.Software{Kind: "deb", Name: "bash", Version: "1", InstalledAt: &timestamppb.Timestamp{Seconds: 7}}))
	s := open(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := s.ParseRows(b, section.FieldDeviceSoftware)
		if err != nil {
			return
		}
		again, err := decodeBase(encodeBase(entries(rows)))
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%d rows packed, %d unpacked, %v", len(rows), len(again), err)
		}
	})
}

func FuzzPackedSoftware(f *testing.F) {
	s := open(f)
	f.Add(encodeBase(entries(parse(f, s, &pb.Software{Name: "a"}, &pb.Software{Name: "b", InstalledAt: &timestamppb.Timestamp{Seconds: 9}}))))
	f.Add(counts{base: 1, now: 2, changes: 3, folded: 2, first: 1, bytes: 30, unstated: 1}.encode())
	f.Add(delta{added: entries(parse(f, s, &pb.Software{Name: "a"}))}.encode(7))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rows, err := decodeBase(b); err == nil && len(rows) > len(b) {
			t.Errorf("%d rows out of %d bytes", len(rows), len(b))
		}
		if c, err := decodeCounts(b); err == nil {
			if again, err := decodeCounts(c.encode()); err != nil || again != c {
				t.Errorf("counts do not come back: %v", err)
			}
		}
		if d, at, err := decodeDelta(b); err == nil {
			if again, _, err := decodeDelta(d.encode(at)); err != nil || len(again.added) != len(d.added) || len(again.removed) != len(d.removed) {
				t.Errorf("a change does not come back: %v", err)
			}
		}
	})
}
