// Package export writes assets and their software as NDJSON, CSV or XLSX, in one
// pass and with memory that does not grow with the fleet.
package export

import (
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Formats that there are.
const (
	NDJSON = "ndjson"
	CSV    = "csv"
	XLSX   = "xlsx"
)

// Formats lists them.
var Formats = []string{NDJSON, CSV, XLSX}

// ContentType returns the media type of a format.
func ContentType(format string) string {
	switch format {
	case NDJSON:
		return "application/x-ndjson"
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	}
	return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
}

// Options say what to write.
type Options struct {
	Format string
	// Fields are the paths of the columns; empty is the usual ones. For NDJSON they
	// name none, as its lines are the assets that are handed in.
	Fields []string
	// Software writes a row for each piece of software of each asset.
	Software bool
}

// usual are the columns of a table for which nobody said any.
var usual = []string{"id", "name", "class", "stage", "os.family", "os.name", "os.version", "hardware.manufacturer", "hardware.model", "hardware.serial",
	"hardware.asset_tag", "owner.email", "owner.department", "location.site", "last_seen", "mdm.enrolled", "security.disk_encryption.state", "software_count"}

// usualBesideSoftware are those where each row is a piece of software.
var usualBesideSoftware = []string{"id", "name"}

// UsualFields returns the columns of an asset where none are asked for.
func UsualFields(software bool) []string {
	if software {
		return usualBesideSoftware
	}
	return usual
}

// Title is what the rows of one software title have in common. A Writer asks
// for it once for each id, as far as it remembers.
type Title func() (*pb.Software, error)

// Writer writes an export. It must be closed, which completes it.
type Writer struct {
	sheet  sheet
	fields []path
	// titles are those that were met lately, and older those before them.
	titles, older map[uint64]*title
	// asset is what the rows of the asset under way begin with.
	asset row
	json  bool
	cells []cell
}

// maxTitles bounds how many titles are remembered twice over, at some 500 bytes
// each.
const maxTitles = 50_000

// title is what is remembered of a title.
type title struct {
	json  []byte
	cells []cell
}

// row is a line as it is made: of text, or of cells.
type row struct {
	json  []byte
	cells []cell
}

// sheet takes rows of cells.
type sheet interface {
	write(cells []cell) error
	close() error
}

// New returns a writer. The error says which of the options is wrong.
func New(w io.Writer, o Options) (*Writer, error) {
	x := &Writer{titles: make(map[uint64]*title), json: o.Format == NDJSON}
	switch o.Format {
	case NDJSON:
		x.sheet = &lines{w: w}
		return x, nil
	case CSV:
		x.sheet = newCSV(w)
	case XLSX:
		x.sheet = newXLSX(w)
	default:
		return nil, fmt.Errorf("the format %.20q is none of: %s", o.Format, strings.Join(Formats, ", "))
	}
	names := o.Fields
	if len(names) == 0 {
		names = UsualFields(o.Software)
	}
	var head []cell
	for _, name := range names {
		p, err := parsePath(name)
		if err != nil {
			return nil, err
		}
		x.fields = append(x.fields, p)
		if o.Software {
			name = "asset." + name
		}
		head = append(head, cell{kind: text, text: name})
	}
	if o.Software {
		for _, name := range softwareColumns {
			head = append(head, cell{kind: text, text: "software." + name})
		}
	}
	return x, x.sheet.write(head)
}

var softwareColumns = []string{"kind", "name", "version", "publisher", "architecture", "location", "size_bytes", "product_id", "installed_at", "last_used_at"}

var marshal = protojson.MarshalOptions{UseProtoNames: true}

// Asset writes a row for an asset.
func (x *Writer) Asset(a *pb.Asset) error {
	if err := x.begin(a); err != nil {
		return err
	}
	if x.json {
		x.asset.json = append(x.asset.json, '\n')
		return x.sheet.write([]cell{{text: string(x.asset.json)}})
	}
	return x.sheet.write(x.asset.cells)
}

// begin makes what is said of an asset.
func (x *Writer) begin(a *pb.Asset) (err error) {
	if x.json {
		if x.asset.json, err = marshal.MarshalAppend(x.asset.json[:0], a); err != nil {
			return fmt.Errorf("write asset %s as JSON: %w", a.GetId(), err)
		}
		return nil
	}
	x.asset.cells = x.asset.cells[:0]
	for _, p := range x.fields {
		c, err := p.cell(a.ProtoReflect())
		if err != nil {
			return fmt.Errorf("write %s of asset %s: %w", p.name, a.GetId(), err)
		}
		x.asset.cells = append(x.asset.cells, c)
	}
	return nil
}

// Begin begins the rows of an asset's software.
func (x *Writer) Begin(a *pb.Asset) error { return x.begin(a) }

// Software writes a row for software of the asset that Begin was called with;
// zero times are not known.
func (x *Writer) Software(id uint64, of Title, installed, used time.Time) error {
	t, err := x.title(id, of)
	if err != nil {
		return err
	}
	if !x.json {
		x.cells = append(append(append(x.cells[:0], x.asset.cells...), t.cells...), timeCell(installed), timeCell(used))
		return x.sheet.write(x.cells)
	}
	return x.sheet.(*lines).software(x.asset.json, t.json, installed, used)
}

func (x *Writer) title(id uint64, of Title) (*title, error) {
	if t, ok := x.titles[id]; ok {
		return t, nil
	}
	if t, ok := x.older[id]; ok {
		x.remember(id, t)
		return t, nil
	}
	s, err := of()
	if err != nil {
		return nil, err
	}
	s = proto.CloneOf(s)
	s.InstalledAt, s.LastUsedAt = nil, nil
	t := &title{}
	if x.json {
		if t.json, err = marshal.Marshal(s); err != nil {
			return nil, fmt.Errorf("write software %q as JSON: %w", s.GetName(), err)
		}
	} else {
		for _, v := range []string{s.GetKind(), s.GetName(), s.GetVersion(), s.GetPublisher(), s.GetArchitecture(), s.GetLocation()} {
			t.cells = append(t.cells, textCell(v))
		}
		size := cell{}
		if s.SizeBytes != nil {
			size = cell{kind: number, text: fmt.Sprint(s.GetSizeBytes())}
		}
		t.cells = append(t.cells, size, textCell(s.GetProductId()))
	}
	x.remember(id, t)
	return t, nil
}

func (x *Writer) remember(id uint64, t *title) {
	if len(x.titles) >= maxTitles {
		x.titles, x.older = make(map[uint64]*title), x.titles
	}
	x.titles[id] = t
}

// Close completes what was written; the underlying writer stays open.
func (x *Writer) Close() error { return x.sheet.close() }
