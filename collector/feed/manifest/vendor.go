package manifest

// Manifest describes how the records of one vendor's system are read and what
// they mean. The doc tags are the reference: the JSON Schema for editors and
// docs/feeds.md are made of them.
type Manifest struct {
	Schema      int                 `yaml:"schema" doc:"Version of this language: 1."`
	Name        string              `yaml:"name" doc:"Short name of the vendor's system: lower-case letters, digits and _."`
	Title       string              `yaml:"title" doc:"Name for people."`
	Docs        string              `yaml:"docs" doc:"Address of the vendor's API documentation."`
	Kind        string              `yaml:"kind" doc:"What kind of source it is; decides how far each field is believed." enum:"mdm,idp,edr,purchasing,warranty,cloud,saas,file"`
	Unique      bool                `yaml:"unique" doc:"The system never lists one live device twice."`
	Permissions []string            `yaml:"permissions" doc:"What the credentials must be allowed; named when the vendor refuses a request."`
	Settings    map[string]Setting  `yaml:"settings" doc:"What a user fills in; used elsewhere as ${name}."`
	Base        Template            `yaml:"base" doc:"Address that every path begins with; requests go to its host only."`
	Headers     map[string]Template `yaml:"headers" doc:"Headers of every request."`
	Auth        Auth                `yaml:"auth" doc:"How requests are authorised."`
	Limit       Limit               `yaml:"limit" doc:"How fast the vendor may be asked."`
	Retry       Retry               `yaml:"retry" doc:"What is tried again."`
	Every       Duration            `yaml:"every" doc:"How often changes are read (15m)."`
	FullEvery   Duration            `yaml:"full_every" doc:"How often everything is read (24h)."`
	Absent      Absent              `yaml:"absent" doc:"When what is no longer listed is withdrawn."`
	Deny        []string            `yaml:"deny_fields" doc:"Keys whose values are dropped before anything sees them, beside those that the engine knows as secrets."`
	Driver      string              `yaml:"driver" doc:"Reads records that do not come as JSON over HTTP." enum:"table"`
	Table       *Table              `yaml:"table" doc:"The table that the driver reads."`
	Webhook     *Webhook            `yaml:"webhook" doc:"How the system tells, at /v1/hooks/FEED, that something has changed."`
	Streams     []Stream            `yaml:"streams" doc:"Lists of records that the system offers."`
	Tests       []Test              `yaml:"tests" doc:"What rollcall-collector feeds test checks."`

	at positions
}

// Setting is one thing that a user fills in.
type Setting struct {
	Help    string   `yaml:"help" doc:"Where to find it."`
	Type    string   `yaml:"type" doc:"text unless set." enum:"text,url,host,pem,file"`
	Secret  bool     `yaml:"secret" doc:"Never shown again."`
	Default *string  `yaml:"default" doc:"Taken where nothing is filled in; a setting without it is required."`
	Example string   `yaml:"example" doc:"What it looks like."`
	OneOf   []string `yaml:"one_of" doc:"The only values that are taken."`
}

// Auth names one way to authorise requests.
type Auth struct {
	Header  *HeaderAuth  `yaml:"header" doc:"A fixed header."`
	Basic   *BasicAuth   `yaml:"basic" doc:"User name and password."`
	OAuth2  *OAuth2Auth  `yaml:"oauth2" doc:"OAuth 2.0 client credentials."`
	JWT     *JWTAuth     `yaml:"jwt" doc:"A signed assertion exchanged for a token."`
	Session *SessionAuth `yaml:"session" doc:"A sign-in that answers with a token."`
	AWS     *AWSAuth     `yaml:"aws" doc:"AWS Signature Version 4."`
	// Again are codes beside 401 that mean an expired token.
	Again []int `yaml:"renew_codes" doc:"Codes beside 401 that mean an expired token; one new token is tried."`
}

// HeaderAuth sends a fixed header.
type HeaderAuth struct {
	Name  string   `yaml:"name" doc:"Authorization unless set."`
	Value Template `yaml:"value" doc:"Value with the secret, as in: SSWS ${token}."`
}

// BasicAuth sends HTTP basic authentication.
type BasicAuth struct {
	User     Template `yaml:"user" doc:"User name."`
	Password Template `yaml:"password" doc:"Password or token."`
}

// OAuth2Auth gets tokens by client credentials (RFC 6749, 4.4).
type OAuth2Auth struct {
	TokenURL     Template            `yaml:"token_url" doc:"Address of the token endpoint."`
	ClientID     Template            `yaml:"client_id" doc:"Client id."`
	ClientSecret Template            `yaml:"client_secret" doc:"Client secret."`
	Style        string              `yaml:"style" doc:"Where the client's credentials stand: form unless set." enum:"form,basic"`
	Params       map[string]Template `yaml:"params" doc:"Further form fields: scope, audience."`
	OK           []int               `yaml:"ok" doc:"Codes that mean success (200)."`
}

// JWTAuth exchanges a signed assertion for a token (RFC 7523).
type JWTAuth struct {
	TokenURL Template            `yaml:"token_url" doc:"Address of the token endpoint."`
	Alg      string              `yaml:"alg" doc:"Signature." enum:"RS256,ES256"`
	Key      Template            `yaml:"key" doc:"Private key in PEM form."`
	KeyID    Template            `yaml:"key_id" doc:"kid in the header of the assertion."`
	Grant    string              `yaml:"grant" doc:"jwt_bearer: the assertion is the grant. client_assertion: it proves who the client is." enum:"jwt_bearer,client_assertion"`
	Claims   map[string]Template `yaml:"claims" doc:"Claims beside iat, exp and jti."`
	Params   map[string]Template `yaml:"params" doc:"Further form fields."`
	Lifetime Duration            `yaml:"lifetime" doc:"How long an assertion is good for (5m)."`
}

// SessionAuth signs in and sends the token that the answer holds.
type SessionAuth struct {
	Post   Template            `yaml:"post" doc:"Address of the sign-in."`
	Basic  *BasicAuth          `yaml:"basic" doc:"User name and password of the sign-in."`
	Body   map[string]Template `yaml:"body" doc:"JSON body of the sign-in."`
	Token  string              `yaml:"token" doc:"Path of the token in the answer."`
	Expiry string              `yaml:"expires" doc:"Path of the time at which it expires, RFC 3339."`
	Header string              `yaml:"header" doc:"Header that carries the token: Authorization unless set."`
	Scheme string              `yaml:"scheme" doc:"Word before the token: Bearer unless set; none for none."`
}

// Limit bounds how fast a vendor is asked.
type Limit struct {
	PerSecond float64 `yaml:"per_second" doc:"Requests a second (5)."`
	Burst     int     `yaml:"burst" doc:"Requests at once before that holds (1)."`
	Remaining string  `yaml:"remaining" doc:"Header with the number of requests that are left."`
	Reset     string  `yaml:"reset" doc:"Header with when there are more: seconds from now, or seconds since 1970."`
	Floor     int     `yaml:"floor" doc:"With this many requests left, wait until there are more; others share the allowance."`
}

// Retry says what is tried again.
type Retry struct {
	Codes    []int    `yaml:"codes" doc:"Codes that are tried again (408, 425, 429, 500, 502, 503, 504)."`
	Attempts int      `yaml:"attempts" doc:"Tries in all (5)."`
	Wait     Duration `yaml:"wait" doc:"Wait after the first failure (1s); it doubles, with jitter. Retry-After outranks it."`
	MaxWait  Duration `yaml:"max_wait" doc:"Longest wait within a pass (2m); what asks for more ends the pass, which goes on later."`
}

// Absent says when what is no longer listed is withdrawn.
type Absent struct {
	After int     `yaml:"after" doc:"Complete passes in a row that must lack a record (2)."`
	Share float64 `yaml:"share" doc:"Part of what is held that one pass may withdraw (0.2); more is refused until somebody looks."`
	Keep  bool    `yaml:"keep" doc:"What is no longer listed stays; the list is no statement of all there is."`
}

// Webhook says how the system's calls are verified.
type Webhook struct {
	Scheme string   `yaml:"scheme" doc:"header: a header holds the secret. basic: user name and password. hmac_sha256: a header holds the HMAC of the body, in hex or base64. okta: Okta's event hooks. graph: change notifications of Microsoft Graph, whose clientState is the secret. header_or_hmac: a header holds the secret, alone or after Bearer, or the HMAC of the body." enum:"header,basic,hmac_sha256,okta,graph,header_or_hmac"`
	Header Template `yaml:"header" doc:"Header of the secret (Authorization) or of the HMAC."`
	User   Template `yaml:"user" doc:"User name of basic."`
	Secret Template `yaml:"secret" doc:"The secret, a setting; empty turns the hook off."`
}

// Table describes a file of rows.
type Table struct {
	File      Template            `yaml:"file" doc:"Path of the file."`
	Delimiter string              `yaml:"delimiter" doc:"Guessed unless set."`
	Encoding  string              `yaml:"encoding" doc:"Guessed unless set." enum:"utf-8,utf-16le,utf-16be,windows-1252"`
	Sheet     Template            `yaml:"sheet" doc:"Sheet of a workbook; unless set, the first with the most of the columns."`
	Skip      int                 `yaml:"skip_rows" doc:"Rows before the one with the headings; found unless set."`
	Columns   map[string][]string `yaml:"columns" doc:"Our name of a column, and headings that it may have in the file."`
	Dates     []string            `yaml:"dates" doc:"Columns with days: the order of day, month and year is learnt from the whole column."`
	DayOrder  string              `yaml:"day_order" doc:"Order where a column leaves it open." enum:"ymd,dmy,mdy"`
	Numbers   []string            `yaml:"numbers" doc:"Columns with amounts: the decimal mark is learnt from the whole column."`
	Decimal   string              `yaml:"decimal" doc:"Decimal mark where a column leaves it open." enum:"point,comma"`
}
