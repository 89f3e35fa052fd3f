package archtest

// The vocabulary, in three packages so that agents carry only what they say.
const (
	schema = "proto/rollcall/v1" // what agents and sources say, and the asset made of it
	asked  = "proto/admin"       // what the API is asked and answers
	stored = "proto/storage"     // what the database holds beside that
)

// Reasons that several rows have in common.
const (
	decoder = "a decoder of one foreign format depends on nothing of ours"
	both    = "what both sides share knows neither side"
)

// Rooms is the import table of the repository. It reads from the outside in;
// an arrow that is not here does not exist. docs/architecture.md draws it.
var Rooms = []Room{
	// The agent: host -> facts -> report, wired by main.
	{
		Dir: "agent", May: []string{"agent/host", "agent/facts", "agent/capture", "agent/logfile", "agent/privacy", "agent/report", "agent/service", "agent/update", "pkg/...", schema},
		Why: "the agent's main wires the agent's packages; the collector is reached over the wire only",
	},
	{
		Dir: "agent/host", May: []string{"agent/host/regfile"},
		Why: "the host hands out bytes and knows nothing of what they mean",
	},
	{
		Dir: "agent/facts", May: []string{"agent/host", "agent/facts/...", "pkg/pkgversion", "pkg/section", schema},
		Why: "facts decode what a host shows; how they are sent is not their matter",
	},
	{Dir: "agent/host/regfile", May: []string{}, Why: decoder},
	{
		Dir: "agent/capture", May: []string{"agent/host", "agent/facts", "agent/scrub", "pkg/section", schema},
		Why: "a capture records what the facts ask a host, and hides what they found of people; who asks for one is not its matter",
	},
	{Dir: "agent/privacy", May: []string{"pkg/section", schema}, Why: "what is withheld is told by the settings; the observation is all that it looks at"},
	{Dir: "agent/logfile", May: []string{}, Why: "a log file is bounded whatever is written into it"},
	{Dir: "agent/scrub", May: []string{}, Why: "what is hidden is told by the caller; the scrubber looks at bytes"},
	{Dir: "agent/facts/ioreg", May: []string{"agent/facts/proplist"}, Why: "ioreg prints property lists or a tree; what its properties mean is not its matter"},
	{Dir: "agent/facts/addon", May: []string{}, Why: decoder},
	{Dir: "agent/facts/hive", May: []string{}, Why: decoder},
	{Dir: "agent/facts/lz4", May: []string{}, Why: decoder},
	{Dir: "agent/facts/proplist", May: []string{}, Why: decoder},
	{Dir: "agent/facts/codesign", May: []string{}, Why: decoder},
	{Dir: "agent/facts/pages", May: []string{}, Why: decoder},
	{Dir: "agent/facts/sqlite", May: []string{"agent/facts/pages"}, Why: "a database is made of pages, whatever its tables hold"},
	{
		Dir: "agent/facts/rpmdb", May: []string{"agent/facts/pages", "agent/facts/sqlite"},
		Why: "one of rpm's three formats is a table of SQLite, all are made of pages",
	},
	{Dir: "agent/facts/gvdb", May: []string{}, Why: decoder},
	{Dir: "agent/facts/smart", May: []string{}, Why: decoder},
	{
		Dir: "agent/report", May: []string{"pkg/...", schema},
		Why: "the client sends observations whatever they were made from, so that fleetsim can use it with made-up ones",
	},
	{
		Dir: "agent/update", May: []string{"pkg/release"},
		Why: "which version runs is decided from a folder and a manifest; how it is fetched and started is told by the caller, so that every way it can fail is tested",
	},
	{
		Dir: "agent/service", May: []string{},
		Why: "the service manager starts and stops a program, whatever it does",
	},
	{
		Dir: "agent/fleetsim", May: []string{"agent/report", "pkg/...", schema},
		Why: "the load generator is made of real report clients and a synthetic population",
	},

	// The collector: main -> {ingest, api, metrics} -> {catalog, view} -> {identity, merge, store} -> kv.
	{
		Dir: "collector", May: []string{
			"collector/advisory", "collector/exposure", "collector/ingest", "collector/enroll", "collector/api", "collector/metrics", "collector/view", "collector/catalog", "collector/signin",
			"collector/connect", "collector/diagnose", "collector/notify", "collector/notify/channel", "collector/feed", "collector/feed/manifest", "collector/feed/fetch", "collector/feed/vendors",
			"collector/compliance", "collector/policy", "collector/policy/eol", "collector/expr", "collector/merge", "collector/expiry",
			"collector/updates", "collector/watch", "collector/store", "collector/backup", "collector/kv", "collector/kv/badgerkv", "collector/kv/memkv", "pkg/...", schema, asked, stored,
		},
		Why: "the collector's main wires the collector's packages; the agent is reached over the wire only",
	},
	{
		Dir: "collector/ctl", May: []string{"pkg/...", schema, asked, stored},
		Why: "the command line is a client of the API like any other; what it cannot ask there, nobody can",
	},
	{
		Dir: "collector/ingest", May: []string{"collector/enroll", "collector/catalog", "collector/store", "collector/updates", "pkg/...", schema, asked, stored},
		Why: "ingest takes what agents send and hands it to the catalog; it asks enroll who is calling",
	},
	{
		Dir: "collector/updates", May: []string{"pkg/release"},
		Why: "what is offered to whom follows from a signed folder and the agent's labels; who asks is ingest's matter",
	},
	{
		Dir: "collector/enroll", May: []string{"collector/scope", "collector/store", "pkg/...", schema, asked, stored},
		Why: "enrolment decides who is a device; what devices say is not its matter",
	},
	{
		Dir: "collector/api", May: []string{"collector/advisory", "collector/exposure", "proto/gateway/rollcall/v1", "collector/mcp", "collector/connect", "collector/notify", "collector/notify/channel", "collector/enroll", "collector/catalog", "collector/compliance", "collector/policy", "collector/feed", "collector/view", "collector/watch", "collector/scope", "collector/signin", "collector/export", "collector/merge", "collector/history", "collector/identity", "collector/store", "pkg/...", schema, asked, stored},
		Why: "the API reads views and the store and writes through the catalog; it asks enroll for enrolment tokens, and merge to give each field its own provenance",
	},
	{
		Dir: "collector/mcp", May: []string{"collector/expr", "pkg/...", schema, asked},
		Why: "an assistant is a client of the API like any other; what it cannot ask there, nobody can",
	},
	{
		Dir: "collector/policy/eol", May: []string{schema},
		Why: "when products reach their end is data, whoever asks",
	},
	{
		Dir: "collector/advisory", May: []string{"pkg/pkgversion", schema},
		Why: "what advisories say of a package of a release is data, whoever asks and whoever has the package",
	},
	{
		Dir: "collector/exposure", May: []string{"collector/advisory", "collector/view", schema},
		Why: "which assets advisories are about follows from what a view holds and what they say; who asks is not its matter",
	},
	{
		Dir: "collector/compliance", May: []string{"collector/advisory", "collector/catalog", "collector/policy", "collector/policy/eol", "collector/expr", "collector/store", "pkg/...", schema, asked, stored},
		Why: "compliance has assets judged as they change and time passes, and keeps what they fail; what the rules say is policy's matter",
	},
	{
		Dir: "collector/metrics", May: []string{"collector/advisory", "collector/exposure", "collector/compliance", "collector/policy", "collector/view", "pkg/...", schema},
		Why: "metrics count what a view holds; they neither read the store nor change anything",
	},
	{
		Dir: "collector/view", May: []string{"collector/catalog", "collector/expr", "collector/scope", "collector/store", "pkg/...", schema, asked, stored},
		Why: "a view follows the catalog's changes; who asks it is not its matter",
	},
	{
		Dir: "collector/scope", May: []string{schema},
		Why: "whether an asset is in a scope follows from the asset alone, so that memory, store and change log decide alike",
	},
	{
		Dir: "collector/signin", May: []string{"collector/enroll", "collector/scope"},
		Why: "who somebody is follows from what the provider says and the settings; what comes of it is the API's matter",
	},
	{
		Dir: "collector/signin/signintest", May: []string{},
		Why: "a provider knows nothing of who asks it",
	},
	{
		Dir: "collector/export", May: []string{"pkg/formula", schema},
		Why: "how a table is written is the same whatever was asked for",
	},
	{
		Dir: "collector/watch", May: []string{"collector/catalog", "collector/history", "collector/scope", "collector/store", schema, asked, stored},
		Why: "what happened is told from the change log alone; who hears of it, and may, is not its matter",
	},
	{
		Dir: "collector/notify", May: []string{"collector/notify/channel", "collector/catalog", "collector/compliance", "collector/policy", "collector/expr", "collector/watch", "collector/store", schema, asked, stored},
		Why: "who is told what follows from the logs of changes and of findings; how a receiver is reached is its channel's matter",
	},
	{
		Dir: "collector/notify/channel", May: []string{"collector/feed/fetch", "pkg/buildinfo"},
		Why: "a message is written and handed over whatever it tells, and reached as feeds reach their systems: with the same rules of who may be asked",
	},
	{
		Dir: "collector/catalog", May: []string{"collector/expiry", "collector/identity", "collector/peripheral", "collector/merge", "collector/history", "collector/redact", "collector/store", "pkg/...", schema, asked, stored},
		Why: "the catalog is the one write path: it files, has grouped, has merged and stores, and knows no caller",
	},
	{
		Dir: "collector/expr", May: []string{"pkg/pkgversion", schema},
		Why: "what a condition means is the same for filters, rules and feeds, so it knows none of them",
	},
	{
		Dir: "collector/policy", May: []string{"collector/expr", schema}, Pure: true,
		Why: "a verdict is a function of the asset, the rules and the time, so that anybody can check it again",
	},
	{
		Dir: "collector/identity", May: []string{schema}, Pure: true,
		Why: "which observations are one thing is a function of the observations alone, so that any order and any restart give the same answer",
	},
	{
		Dir: "collector/merge", May: []string{schema, asked}, Pure: true,
		Why: "an asset is a function of its observations alone, so that rebuild gives the same bytes",
	},
	{
		Dir: "collector/peripheral", May: []string{"collector/identity", schema}, Pure: true,
		Why: "which things that a machine lists have a record of their own is a function of the list; what becomes of the records is the catalog's matter",
	},
	{
		Dir: "collector/expiry", May: []string{"collector/merge", schema}, Pure: true,
		Why: "when an asset expires is a function of the asset and the rules; who looks when is the catalog's matter",
	},
	{
		Dir: "collector/history", May: []string{schema, asked, stored}, Pure: true,
		Why: "what changed between two states is a function of the two, so that any past state can be read again",
	},
	{
		Dir: "collector/redact", May: []string{}, Pure: true,
		Why: "what names a person is taken out of any message alike, so that no record is forgotten when the schema grows",
	},
	{
		Dir: "collector/store", May: []string{"collector/kv", "pkg/...", schema, asked, stored},
		Why: "the store knows our records and the engine's contract, not an engine and not who asks",
	},
	{
		Dir: "collector/diagnose", May: []string{},
		Why: "what is secret in a text, and how a process is looked into, does not depend on what the process does",
	},
	{
		Dir: "collector/backup", May: []string{"collector/kv"},
		Why: "a backup is of bytes under keys, whatever they mean and whichever engine holds them",
	},
	{
		Dir: "collector/kv", May: []string{},
		Why: "the contract of an engine is about bytes",
	},
	{
		Dir: "collector/kv/kvtest", May: []string{"collector/kv"},
		Why: "the suite holds any engine to the contract and so knows none",
	},
	{
		Dir: "collector/kv/memkv", May: []string{"collector/kv"},
		Why: "an engine knows the contract only",
	},
	{
		Dir: "collector/kv/badgerkv", May: []string{"collector/kv"},
		Why: "an engine knows the contract only",
	},

	{
		Dir: "collector/connect", May: []string{"collector/catalog", "collector/feed", "collector/feed/manifest", "collector/feed/fetch", "collector/feed/vendors", "collector/store", schema, asked, stored},
		Why: "connecting a system keeps how it is read and has it read; who asks for it is the API's matter",
	},

	// Feeds: what a system outside knows becomes observations.
	{Dir: "collector/feed/record", May: []string{}, Why: decoder},
	{
		Dir: "collector/feed/manifest", May: []string{"collector/feed/record"},
		Why: "a manifest is data: reading it does nothing that it describes",
	},
	{
		Dir: "collector/feed/mapping", May: []string{"collector/feed/record", "collector/feed/manifest", schema},
		Why: "an observation is a function of the record and the manifest; where the record came from is not its matter",
	},
	{
		Dir: "collector/feed/fetch", May: []string{"collector/feed/record", "collector/feed/manifest"},
		Why: "asking a system for records knows nothing of what they mean",
	},
	{
		Dir: "collector/feed/table", May: []string{"collector/feed/manifest", "collector/feed/table/workbook"},
		Why: "a file of rows is read the same whatever its columns mean",
	},
	{Dir: "collector/feed/table/workbook", May: []string{}, Why: decoder},
	{Dir: "collector/feed/replay", May: []string{}, Why: "a recording answers whoever asks"},
	{
		Dir: "collector/feed/vendors", May: []string{"collector/feed/manifest"},
		Why: "the known systems are data",
	},
	{
		Dir: "collector/feed", May: []string{"collector/feed/record", "collector/feed/manifest", "collector/feed/mapping", "collector/feed/fetch", "collector/feed/table", "collector/feed/replay", schema},
		Why: "feeds hand observations to whoever takes them, and know neither the catalog nor the store",
	},
	{
		Dir: "collector/feed/feedtest", May: []string{"collector/feed", "collector/feed/...", schema},
		Why: "the suite holds any feed to the same rules",
	},

	// What both sides need, and nothing that only one does.
	{Dir: "pkg/archtest", May: []string{}, Why: "the checker looks at the packages from outside"},
	{Dir: "pkg/buildinfo", May: []string{}, Why: both},
	{Dir: "pkg/formula", May: []string{}, Why: both},
	{Dir: "pkg/pkgversion", May: []string{}, Why: both},
	{Dir: "pkg/release", May: []string{}, Why: both},
	{Dir: "pkg/section", May: []string{schema}, Why: both},
	{Dir: "pkg/synth", May: []string{schema, stored}, Why: both},
	{Dir: "pkg/doctest", May: []string{}, Why: "a document is text; which programs its commands call is told by the caller"},
	{Dir: "pkg/systest", May: []string{"pkg/doctest"}, Why: "the programs are tested from outside, as processes over the wire"},
	{Dir: "pkg/winetest", May: []string{}, Why: "the Windows agent is tested from outside, as a process under Wine"},
	{Dir: "pkg/tlsconf", May: []string{}, Why: both},
	{Dir: schema, May: []string{}, Why: "the schema is the vocabulary and depends on nothing of ours"},
	{Dir: asked, May: []string{schema}, Why: "questions are about the vocabulary"},
	{Dir: stored, May: []string{asked, schema}, Why: "what is kept is the vocabulary, and some answers as they were given"},
	{Dir: "proto/gateway/rollcall/v1", May: []string{asked, schema}, Why: "the translation of REST is the collector's alone, and so agents do not carry it"},
}

// Guests are the packages from outside that have one home here.
var Guests = []Guest{
	{
		Path: "github.com/dgraph-io/badger/v4", Only: []string{"collector/kv/badgerkv"},
		Why: "an engine is seen through collector/kv, so that another can take its place",
	},
	{
		// badgerkv asks how much space is left for its own files.
		Path: "github.com/shirou/gopsutil/v3", Only: []string{"agent/host", "collector/kv/badgerkv"},
		Why: "only agent/host reads the machine; the rest of the agent must work on a capture of another one",
	},
	{
		Path: "github.com/go-ole/go-ole", Only: []string{"agent/host"},
		Why: "WMI and COM are asked by agent/host, on threads of their own; facts see rows",
	},
	{
		Path: "github.com/kardianos/service", Only: []string{"agent/service"},
		Why: "service managers are dealt with in one place",
	},
	{
		// badgerkv opens a store in a child process first, because a damaged one
		// can end the process; ctl opens the browser of who signs in; archtest asks
		// the go command.
		Path: "os/exec", Only: []string{"agent/host", "collector/ctl", "collector/kv/badgerkv", "pkg/archtest"}, Tests: true,
		Why: "external commands stand on one list, in agent/host, with absolute path, timeout and fixed environment",
	},
}

// Source is what the code is held to beside its imports.
var Source = Rules{
	Systems:    []string{"agent/host", "agent/service"},
	Exceptions: map[string]string{},
}
