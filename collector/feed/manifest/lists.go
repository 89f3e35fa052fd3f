package manifest

import (
	"fmt"
	"regexp"
	"slices"
)

// Over reads a stream once for each of several values: regions, subscriptions,
// projects.
type Over struct {
	As      string   `yaml:"as" doc:"Name of the value: ${name} in requests, {name} in a setting that is an address, and a key of each record."`
	Setting string   `yaml:"setting" doc:"Setting with the values, parted by commas; where it is empty they are listed, or, without list, there is one empty value."`
	List    *List    `yaml:"list" doc:"Where the system lists the values."`
	Value   string   `yaml:"value" doc:"Path of the value in each record of that list."`
	Home    Template `yaml:"home" doc:"What takes the place of the value while the values are listed."`
}

// List is a list that is read beside a stream's own.
type List struct {
	Get     Template          `yaml:"get" doc:"Path, below base, or whole address that is read with GET."`
	Query   map[string]Values `yaml:"query" doc:"Query parameters."`
	Records string            `yaml:"records" doc:"Path of the records in an answer; empty where the answer is the list."`
	Lacking bool              `yaml:"records_may_lack" doc:"An answer without the list means an empty one; otherwise it is an error."`
	Empty   []int             `yaml:"empty_codes" doc:"Codes that mean an empty list."`
	Pager   Pager             `yaml:"pager" doc:"How the next page is asked for."`
}

// Join adds the records of a further list, which is read whole before the
// stream, to those of the stream.
type Join struct {
	List    List     `yaml:"list" doc:"The further list."`
	Setting string   `yaml:"setting" doc:"Setting that switches it on: read only where it is yes."`
	By      string   `yaml:"by" doc:"Path, in its records, of the value by which they are found, whatever its case."`
	On      string   `yaml:"on" doc:"Path, in a record of the stream, of the values that are looked for."`
	Each    string   `yaml:"each" doc:"Path of a list in the record of the stream: on begins at each of its elements, and they take what is found."`
	Into    string   `yaml:"into" doc:"Key that takes the list of what is found."`
	Keep    []string `yaml:"keep" doc:"Keys of its records that are needed, beside by; all unless set."`
}

// Nested says that the records of a list are lists themselves.
type Nested struct {
	List  string `yaml:"list" doc:"Path of the records within each record of the list."`
	Outer string `yaml:"outer" doc:"Key of each that takes what surrounds it."`
}

// Pairs makes an object of a list of names and values, as tags are written; or
// of an object with neither name nor value, to have its keys in another form.
// They are made before further lists join, so that those can be found by them.
type Pairs struct {
	List  string `yaml:"list" doc:"Path of the list in the record; of an object where name and value are unset."`
	Name  string `yaml:"name" doc:"Path of the name in each element."`
	Value string `yaml:"value" doc:"Path of the value in each element."`
	Lower bool   `yaml:"lower" doc:"Names are written in lower case."`
	Match string `yaml:"match" doc:"Regular expression with one group: what it finds of a name is the name; names in which it finds nothing are left out."`
	Into  string `yaml:"into" doc:"Key of the record that takes the object."`
	// Named and Words are for systems in which every customer has attributes of
	// their own.
	Named *Named              `yaml:"named" doc:"The names are ids: a list in the same answer tells what each is called. Both will do from there on."`
	Words map[string]Template `yaml:"words" doc:"Keys that the object has instead: each of the first name with a value of those, parted by commas and whatever their case, that a setting gives."`
}

// Named says where an answer explains ids.
type Named struct {
	List string `yaml:"list" doc:"Path of the list in the answer."`
	By   string `yaml:"by" doc:"Path of the id in each element."`
	Name string `yaml:"name" doc:"Path of the name in each element."`
}

// AWSAuth signs requests by AWS Signature Version 4.
type AWSAuth struct {
	AccessKey    Template `yaml:"access_key" doc:"Id of the access key."`
	SecretKey    Template `yaml:"secret_key" doc:"The secret access key."`
	SessionToken Template `yaml:"session_token" doc:"Session token of temporary credentials."`
	Service      string   `yaml:"service" doc:"Name of the service in the scope of the signature."`
	Region       Template `yaml:"region" doc:"Region in the scope of the signature."`
	Role         Template `yaml:"role" doc:"ARN of a role to assume; none where empty."`
	ExternalID   Template `yaml:"external_id" doc:"External id that the role asks for."`
	STS          Template `yaml:"sts" doc:"Address of the security token service."`
	STSRegion    Template `yaml:"sts_region" doc:"Its region."`
}

// Values of over are kept short, and out of what parts addresses and lists.
var validValue = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+=-]{0,199}$`)

// ValidOver tells whether a text can be a value of over.
func ValidOver(s string) bool { return validValue.MatchString(s) }

func (c *checker) list(l List, at string) {
	c.require(l.Get != "", at+".get")
	c.path(l.Records, at+".records")
	c.pager(l.Pager, at+".pager")
}

// further checks what a stream needs beside its own list.
func (c *checker) further(m *Manifest, s *Stream, at string) {
	if (len(s.Over) > 0 || len(s.Join) > 0) && s.Lookup != nil || len(s.Over) > 0 && s.Batch != nil {
		c.errorf(at, "over and join go neither with lookup, nor over with batch")
	}
	if len(s.Over) > 2 {
		c.errorf(at+".over", "want one or two")
	}
	if len(s.Over) > 0 && (s.Pager.Total != "" || s.Pager.TotalHeader != "") {
		c.errorf(at+".pager", "a total is that of one value of over only, and tells nothing of them all: leave it out")
	}
	for i, o := range s.Over {
		at := fmt.Sprintf("%s.over[%d]", at, i)
		_, taken := m.Settings[o.As]
		if !validName.MatchString(o.As) || taken || slices.Contains(engineNames, o.As) {
			c.errorf(at+".as", "%q: want a name of lower-case letters, digits and _ that no setting has", o.As)
		}
		c.setting(m, o.Setting, at)
		c.require(o.List != nil || o.Setting != "", at+".list")
		if o.List != nil {
			c.list(*o.List, at+".list")
			c.require(o.Value != "", at+".value")
			c.path(o.Value, at+".value")
		}
	}
	for i, j := range s.Join {
		at := fmt.Sprintf("%s.join[%d]", at, i)
		c.list(j.List, at+".list")
		c.setting(m, j.Setting, at)
		c.require(j.By != "", at+".by")
		c.require(j.On != "", at+".on")
		c.require(j.Into != "", at+".into")
		for key, path := range map[string]string{"by": j.By, "on": j.On, "each": j.Each} {
			c.path(path, at+"."+key)
		}
	}
	c.shape(s, at)
}

// shape checks how records are put into another form.
func (c *checker) shape(s *Stream, at string) {
	if n := s.Nested; n != nil {
		c.require(n.List != "", at+".nested.list")
		c.path(n.List, at+".nested.list")
	}
	for i, p := range s.Pairs {
		at := fmt.Sprintf("%s.pairs[%d]", at, i)
		for key, path := range map[string]string{"list": p.List, "name": p.Name, "value": p.Value} {
			c.path(path, at+"."+key)
		}
		c.require(p.List != "", at+".list")
		c.require((p.Name == "") == (p.Value == ""), at+".value")
		c.require(p.Into != "", at+".into")
		if x, err := regexp.Compile(p.Match); err != nil || p.Match != "" && x.NumSubexp() != 1 {
			c.errorf(at+".match", "%q: want a regular expression with one group", p.Match)
		}
		if n := p.Named; n != nil {
			c.require(p.Name != "", at+".name")
			for key, path := range map[string]string{"list": n.List, "by": n.By, "name": n.Name} {
				c.require(path != "", at+".named."+key)
				c.path(path, at+".named."+key)
			}
		}
	}
}

func (c *checker) setting(m *Manifest, name, at string) {
	if _, ok := m.Settings[name]; name != "" && !ok {
		c.errorf(at+".setting", "there is no setting %q", name)
	}
}

func (c *checker) aws(a *AWSAuth) {
	if a == nil {
		return
	}
	c.require(a.AccessKey != "", "auth.aws.access_key")
	c.require(a.SecretKey != "", "auth.aws.secret_key")
	c.require(a.Service != "", "auth.aws.service")
	c.require(a.Region != "", "auth.aws.region")
	if a.Role != "" {
		c.require(a.STS != "", "auth.aws.sts")
		c.require(a.STSRegion != "", "auth.aws.sts_region")
	}
}

// overs returns the names of the values that streams are read over; those of
// one stream where at stands in it.
func (m *Manifest) overs(stream int) []string {
	var all []string
	for i, s := range m.Streams {
		for _, o := range s.Over {
			if stream < 0 || i == stream {
				all = append(all, o.As)
			}
		}
	}
	return all
}
