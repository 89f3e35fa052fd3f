package manifest

// Stream is one list of records.
type Stream struct {
	Name    string              `yaml:"name" doc:"Short name; begins the id of each record."`
	Subject string              `yaml:"subject" doc:"What a record is about: device unless set." enum:"device,person"`
	Get     Template            `yaml:"get" doc:"Path, below base, that is read with GET."`
	Post    Template            `yaml:"post" doc:"Path that is read with POST instead."`
	Query   map[string]Values   `yaml:"query" doc:"Query parameters; a list repeats the parameter."`
	Body    map[string]Template `yaml:"body" doc:"JSON body of a POST."`
	Form    map[string]Values   `yaml:"form" doc:"Form body of a POST."`
	Records string              `yaml:"records" doc:"Path of the records in an answer; empty where the answer is the list. * goes into each member of an object."`
	Lacking bool                `yaml:"records_may_lack" doc:"An answer without the list means an empty one; otherwise it is an error."`
	Format  string              `yaml:"format" doc:"json unless set. Elements of XML that are all called item or member, or that repeat, are lists." enum:"json,ndjson,xml"`
	Empty   []int               `yaml:"empty_codes" doc:"Codes that mean an empty list, as 204 and 404 do with some."`
	Off     []string            `yaml:"empty_words" doc:"Words in a refusal (a code of 400 to 499) that mean an empty list: a service that is switched off."`
	Errors  string              `yaml:"errors" doc:"Path of a list that holds something where the answer is no success, whatever its code."`
	Pager   Pager               `yaml:"pager" doc:"How the next page is asked for."`
	Cursor  *Cursor             `yaml:"cursor" doc:"How only what changed is asked for."`
	Batch   *Batch              `yaml:"batch" doc:"The list holds ids only: how the records are asked for."`
	Over    []Over              `yaml:"over" doc:"The list is read once for each value, of two for each pair."`
	Nested  *Nested             `yaml:"nested" doc:"The records stand in a list within each record."`
	Join    []Join              `yaml:"join" doc:"Further lists, read whole, whose records join those that belong to them."`
	Pairs   []Pairs             `yaml:"pairs" doc:"Lists of names and values that become objects."`
	FanOut  []FanOut            `yaml:"fan_out" doc:"Requests for each record, whose answers join it."`
	Lookup  *Lookup             `yaml:"lookup" doc:"The system lists nothing: it is asked for devices that others know."`
	Skip    string              `yaml:"skip" doc:"CEL over the record r: true for records that are not stated (decommissioned, templates)."`
	Key     Field               `yaml:"key" doc:"The record's own id in the system, which never changes."`
	Map     map[string]Field    `yaml:"map" doc:"Field of the device, as in hardware.serial, or of the person, as in department, to where its value comes from."`
	IDs     []Identifier        `yaml:"identifiers" doc:"Identifiers beside those that the fields give."`
}

// Identifier names the thing in one namespace.
type Identifier struct {
	Kind  string `yaml:"kind" doc:"directory, mdm, edr, udid, mac, hostname, ...; of a person email, upn, account or employee_id"`
	Value Field  `yaml:"value" doc:"The identifier."`
	Scope Field  `yaml:"scope" doc:"Where values repeat: what tells them apart."`
}

// Pager names one way to ask for the next page.
type Pager struct {
	Link        bool         `yaml:"link" doc:"Link header with rel=next."`
	Next        string       `yaml:"next_url" doc:"Path of the next page's address in the answer."`
	Cursor      *CursorPager `yaml:"cursor" doc:"A token in the answer is a parameter of the next request."`
	Page        *NumberPager `yaml:"page" doc:"Pages are numbered."`
	Offset      *NumberPager `yaml:"offset" doc:"Records are numbered."`
	Total       string       `yaml:"total" doc:"Path of the number of all records: shows progress, and whether a pass was complete."`
	TotalHeader string       `yaml:"total_header" doc:"Header with it."`
	Good        *Duration    `yaml:"good_for" doc:"How long a page can be asked for again after a break (10m); 0s for never."`
}

// CursorPager passes a token on.
type CursorPager struct {
	From  string `yaml:"from" doc:"Path of the token in the answer; none, empty or null ends the list."`
	Param string `yaml:"param" doc:"Parameter that takes it."`
	// Gaps are Google's and AWS's: a page may have no records and a token.
	Gaps bool `yaml:"empty_pages" doc:"A page without records does not end the list: the token alone does."`
	// Scroll marks are CrowdStrike's: the token of a scroll names the whole of
	// it and stays the same while the system moves on.
	Scroll bool `yaml:"scroll" doc:"The token may stay the same from page to page, and the system moves on by itself. Such a list cannot be gone on with after a break."`
}

// NumberPager counts pages or records.
type NumberPager struct {
	Param     string `yaml:"param" doc:"Parameter with the number."`
	Start     int    `yaml:"start" doc:"Number of the first (0)."`
	Size      int    `yaml:"size" doc:"How many records a page is asked to have."`
	SizeParam string `yaml:"size_param" doc:"Parameter with the size."`
}

// Cursor asks for what changed.
type Cursor struct {
	Field   string            `yaml:"field" doc:"Path of the time of change in a record."`
	Query   map[string]Values `yaml:"query" doc:"Parameters to add; ${cursor} is the time."`
	Overlap Duration          `yaml:"overlap" doc:"How much earlier than the latest change to ask again (10m)."`
	Format  string            `yaml:"format" doc:"How the time is written: rfc3339 unless set, or a layout of Go's time package, unix or unix_ms."`
}

// Batch asks for records by id.
type Batch struct {
	Get     Template `yaml:"get" doc:"Path that is read with GET."`
	Post    Template `yaml:"post" doc:"Path that is read with POST."`
	Param   string   `yaml:"param" doc:"Parameter of GET that repeats for each id, or key of the JSON list of POST."`
	Size    int      `yaml:"size" doc:"Most ids of one request (100)."`
	Records string   `yaml:"records" doc:"Path of the records in the answer."`
	Errors  string   `yaml:"errors" doc:"Path of a list of errors in a successful answer."`
}

// FanOut asks something about each record.
type FanOut struct {
	Get      Template          `yaml:"get" doc:"Path; ${record.PATH} is a value of the record."`
	Query    map[string]Values `yaml:"query" doc:"Query parameters."`
	Into     string            `yaml:"into" doc:"Key of the record that takes the answer."`
	When     string            `yaml:"when" doc:"CEL over the record r: asked only where true."`
	Setting  string            `yaml:"setting" doc:"Setting that switches it on: asked only where it is yes."`
	Records  string            `yaml:"records" doc:"Path of what to take of the answer; all unless set."`
	Empty    []int             `yaml:"empty_codes" doc:"Codes that mean that there is nothing (404)."`
	Parallel int               `yaml:"parallel" doc:"Requests at once (2)."`
	TTL      Duration          `yaml:"ttl" doc:"How long an answer is kept before it is asked for again (24h)."`
}

// Lookup asks for devices that others know, by serial number.
type Lookup struct {
	Makers []string `yaml:"manufacturers" doc:"Whose serial numbers are asked for, as others write the name; the beginning will do."`
	Size   int      `yaml:"size" doc:"Most serials of one request (1)."`
	Join   string   `yaml:"join" doc:"What parts them in ${serials}: a comma unless set."`
	TTL    Duration `yaml:"ttl" doc:"How long an answer is good for (168h)."`
	Daily  int      `yaml:"daily" doc:"Most requests a day (1000)."`
}

// Test is a check of the manifest.
type Test struct {
	Name      string            `yaml:"name" doc:"What it shows."`
	Stream    string            `yaml:"stream" doc:"Stream whose mapping is tested; the first unless set."`
	Record    map[string]any    `yaml:"record" doc:"A record as the vendor answers it."`
	Exchanges string            `yaml:"exchanges" doc:"File, beside the manifest, with recorded requests and answers."`
	Settings  map[string]string `yaml:"settings" doc:"Settings with which they were recorded."`
	Expect    []map[string]any  `yaml:"expect" doc:"The observations that come of it; of an observation, only what stands here is compared."`
	Problems  int               `yaml:"problems" doc:"How many problems come of it (0)."`
}
