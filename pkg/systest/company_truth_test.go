package systest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// companyAsset is what the checks look at.
type companyAsset struct {
	ID       string
	Hardware struct{ Serial string }
	Sources  []struct {
		Source   string
		SourceID string `json:"source_id"`
	}
	Purchase struct {
		Price struct{ Amount, Currency string }
	}
	Warranty struct{ End string }
	Owner    struct {
		Email, Name, Department string
		Active                  bool
	}
}

// check holds what became of the company to the truth, record by record and
// pair by pair.
func (c company) check(t *testing.T, coll *collector) {
	t.Helper()
	bySerial := make(map[string]int, c.devices)
	for i := range c.devices {
		bySerial[serialOf(i)] = i
	}
	// together counts the records of each asset and device; of and held those of
	// each device and of each asset.
	together, of := make(map[[2]int]int), make(map[int]int)
	records, right, held := 0, 0, 0
	for n, a := range coll.company(t) {
		for _, s := range a.Sources {
			i, err := deviceOf(s.Source, s.SourceID, bySerial)
			if err != nil {
				t.Fatal(err)
			}
			together[[2]int{n, i}]++
			of[i]++
			records++
		}
		held += pairs(len(a.Sources))
		if i, ok := bySerial[a.Hardware.Serial]; ok && !nameless(i) {
			c.checkAsset(t, a, i)
		}
	}
	belong := 0
	for _, n := range of {
		belong += pairs(n)
	}
	for _, n := range together {
		right += pairs(n)
	}
	precision, recall := float64(right)/float64(max(held, 1)), float64(right)/float64(max(belong, 1))
	t.Logf("%d records of devices: precision %.5f (%d pairs of strangers), recall %.5f", records, precision, held-right, recall)
	if held != right || recall < 0.99 {
		t.Errorf("precision is %.5f and recall %.5f, want 1 and at least 0.99", precision, recall)
	}
	if want := c.records(); records != want {
		t.Errorf("%d records are part of assets, want %d", records, want)
	}
}

func pairs(n int) int { return n * (n - 1) / 2 }

// records is how many records of devices the systems have.
func (c company) records() (n int) {
	for i := range c.devices {
		n += len(c.know(i))
	}
	return n
}

// know returns which systems know a device, once for each record, sorted.
func (c company) know(i int) []string {
	sources := []string{"falcon", "po"}
	if inOkta(i) {
		sources = append(sources, "okta")
	}
	if mac(i) {
		sources = append(sources, "abm", "jamf")
	} else {
		sources = append(sources, "dell", "intune")
		if renewed(i) {
			sources = append(sources, "intune")
		}
	}
	slices.Sort(sources)
	return sources
}

// deviceOf is the device that a record is truly about.
func deviceOf(source, id string, bySerial map[string]int) (int, error) {
	last := id[strings.LastIndexByte(id, '/')+1:]
	base, digits := 10, last
	switch source {
	case "abm", "po", "dell":
		if i, ok := bySerial[strings.ToUpper(last)]; ok {
			return i, nil
		}
		return 0, fmt.Errorf("%s has no device %s", source, id)
	case "falcon":
		base = 16
	case "intune":
		base, digits = 16, last[strings.LastIndexByte(last, '-')+1:]
	case "okta":
		digits = strings.TrimPrefix(last, "guo")
	}
	n, err := strconv.ParseInt(digits, base, 64)
	if source == "falcon" {
		n--
	}
	return int(n), err
}

// checkAsset holds one asset to what its systems say of it, each in what it is
// believed for.
func (c company) checkAsset(t *testing.T, a companyAsset, i int) {
	t.Helper()
	var sources []string
	for _, s := range a.Sources {
		sources = append(sources, s.Source)
	}
	slices.Sort(sources)
	if want := c.know(i); !slices.Equal(sources, want) {
		t.Errorf("%s is an asset of %v, want one of %v", a.Hardware.Serial, sources, want)
	}
	if want := fmt.Sprintf("1%03d.00", i%1000); a.Purchase.Price.Amount != want || a.Purchase.Price.Currency != "EUR" {
		t.Errorf("%s cost %s %s, want EUR %s as the purchase list says", a.Hardware.Serial, a.Purchase.Price.Currency, a.Purchase.Price.Amount, want)
	}
	if want := map[bool]string{true: "2027-02-02", false: "2027-10-30"}[mac(i)]; a.Warranty.End != want {
		t.Errorf("%s has a warranty until %q, want %s", a.Hardware.Serial, a.Warranty.End, want)
	}
	if o := a.Owner; o.Email != ownerOf(i) || o.Name != fmt.Sprint("User ", i) || o.Department != fmt.Sprint("Team ", i%9) || o.Active == departed(i) {
		t.Errorf("the owner of %s, device of user %d, is %+v", a.Hardware.Serial, i, o)
	}
}

// company returns all assets.
func (c *collector) company(t *testing.T) (all []companyAsset) {
	t.Helper()
	for token := ""; ; {
		var page struct {
			Assets    []companyAsset
			NextToken string `json:"next_page_token"`
		}
		c.get(t, "/v1/assets?page_size=1000&page_token="+token, &page)
		all = append(all, page.Assets...)
		if token = page.NextToken; token == "" {
			return all
		}
	}
}
