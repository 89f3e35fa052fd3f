package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxExploited is many times what the catalog has.
const maxExploited = 200_000

// Catalog is CISA's catalog of known exploited vulnerabilities
// (https://www.cisa.gov/known-exploited-vulnerabilities-catalog), as kept.
type Catalog struct {
	// Released is the day of the data.
	Released time.Time             `json:"released,omitzero"`
	Entries  map[string]*Exploited `json:"entries"`
}

// kevFile is the JSON that CISA publishes.
type kevFile struct {
	CatalogVersion  string          `json:"catalogVersion"`
	DateReleased    string          `json:"dateReleased"`
	Vulnerabilities json.RawMessage `json:"vulnerabilities"`
}

// parseCatalog reads the catalog. Entries that are broken are left out and told.
func parseCatalog(data []byte, skip func(reason, name string)) (*Catalog, error) {
	var in kevFile
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("this is not CISA's catalog: %w", err)
	}
	c := &Catalog{Released: day(in.DateReleased), Entries: make(map[string]*Exploited)}
	i := 0
	err := elements(in.Vulnerabilities, maxExploited, "vulnerabilities", func(dec *json.Decoder) error {
		i++
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		var e struct {
			ID         string `json:"cveID"`
			Name       string `json:"vulnerabilityName"`
			Added      string `json:"dateAdded"`
			Due        string `json:"dueDate"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		}
		err := json.Unmarshal(raw, &e)
		if err == nil && (!strings.HasPrefix(e.ID, "CVE-") || len(e.ID) > maxID || !printable(e.ID)) {
			err = errors.New("it has no cveID")
		}
		if err != nil {
			skip("not an entry of the catalog", fmt.Sprintf("entry %d: %s", i, err))
			return nil
		}
		c.Entries[e.ID] = &Exploited{CVE: e.ID, Name: summary(e.Name, ""), Added: date(e.Added), Due: date(e.Due), Ransomware: e.Ransomware == "Known"}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("this is not CISA's catalog: %w", err)
	}
	if len(c.Entries) == 0 {
		return nil, errors.New("the catalog has no entry that can be read")
	}
	return c, nil
}

// date returns a day as it is written, empty for what is none.
func date(text string) string {
	if t, err := time.Parse(time.DateOnly, text); err != nil || t.Year() < 1990 || t.Year() > 2200 {
		return ""
	}
	return text
}
