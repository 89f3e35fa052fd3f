package facts

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func wtmpdb(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/wtmpdb/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Systems that have no wtmp any more name their user by the database in its
// place, also by what stands in the database's log alone.
func TestPrimaryUserByLoginDatabase(t *testing.T) {
	passwd := body("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nben:x:1001:1001::/home/ben:/bin/sh\ndeploy:x:999:999::/:/bin/sh\n")
	db, log := wtmpdb(t, "wtmp.db"), wtmpdb(t, "wtmp.db-wal")
	const name = "var/lib/wtmpdb/wtmp.db"
	for what, c := range map[string]struct {
		files   fstest.MapFS
		want    string
		problem string
	}{
		"without a log":   {fstest.MapFS{name: {Data: db}}, "ann", ""},
		"with its log":    {fstest.MapFS{name: {Data: db}, name + "-wal": {Data: log}}, "ann", ""},
		"an empty one":    {fstest.MapFS{name: {}}, "", ""},
		"cut":             {fstest.MapFS{name: {Data: db[:len(db)-100]}}, "", "wtmp.db"},
		"no database":     {fstest.MapFS{name: body(strings.Repeat("no database ", 500))}, "", "page size"},
		"of another kind": {fstest.MapFS{name: {Data: bytes.Replace(db, []byte("wtmpwtmp"), []byte("ptmpptmp"), 1)}}, "", "without a table wtmp"},
	} {
		c.files["etc/passwd"] = passwd
		d := new(pb.Device)
		err := learnPrimaryUser(t.Context(), &host.Host{FS: c.files, OS: "linux"}, d)
		if (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) || c.problem == "" && d.GetPrimaryUser().GetName() != c.want {
			t.Errorf("%s: %v, %v", what, d.GetPrimaryUser(), err)
		}
	}
	logins, err := decodeLoginDatabase(pages.File{ReaderAt: bytes.NewReader(db), Size: int64(len(db))}, pages.File{ReaderAt: bytes.NewReader(log), Size: int64(len(log))})
	if err != nil || len(logins) != 20+20*6+1+10 {
		t.Errorf("%d logins, %v", len(logins), err)
	}
	if i := slices.IndexFunc(logins, func(l login) bool { return l.user == "ben" }); i < 0 || !logins[i].local() || logins[i].line != "tty3" {
		t.Errorf("at the machine: %+v", logins)
	}
}

func FuzzLoginDatabase(f *testing.F) {
	f.Add(wtmpdb(f, "wtmp.db"), wtmpdb(f, "wtmp.db-wal"))
	f.Add(wtmpdb(f, "wtmp.db"), []byte{})
	f.Fuzz(func(t *testing.T, db, log []byte) {
		logins, _ := decodeLoginDatabase(pages.File{ReaderAt: bytes.NewReader(db), Size: int64(len(db))}, pages.File{ReaderAt: bytes.NewReader(log), Size: int64(len(log))})
		if len(logins) > 2*maxLogins {
			t.Fatalf("%d logins", len(logins))
		}
	})
}
