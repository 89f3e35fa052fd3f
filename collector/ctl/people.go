package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type peopleCommands struct {
	List     peopleListCommand     `cmd:"" default:"withargs" help:"List people."`
	Show     peopleShowCommand     `cmd:"" help:"Show what is known of a person, and who says so."`
	Context  peopleContextCommand  `cmd:"" help:"Show a person with their devices, findings and applications: what a ticket needs."`
	Explain  peopleExplainCommand  `cmd:"" help:"Say why the records of a person are about one, and what operators said."`
	History  peopleHistoryCommand  `cmd:"" help:"Tell what happened to the record of a person, the latest first."`
	Assert   peopleAssertCommand   `cmd:"" help:"State what an operator knows of a person: a field, or that they are the same as somebody."`
	Erase    peopleEraseCommand    `cmd:"" help:"Erase a person from everything that is kept: shows what would go, and asks."`
	Erasures peopleErasuresCommand `cmd:"" help:"List who was erased, by the hashes that are left."`
	Readmit  peopleReadmitCommand  `cmd:"" help:"Take an erased person in again once a source states them."`
}

type peopleListCommand struct {
	Search     []string `arg:"" optional:"" help:"Words to look for in names, addresses, departments, titles and employee ids."`
	Status     string   `placeholder:"departed" values:"active,suspended,departed" help:"Only of this status: active, suspended or departed."`
	Department string   `placeholder:"NAME" help:"Only of this department."`
	OrderBy    string   `placeholder:"FIELD" complete:"people-order" help:"name, email, department, title or status; 'name desc' turns the order round."`
}

// Run lists people.
func (cmd peopleListCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	query := pageSize(listPage)
	for name, value := range map[string]string{"search": strings.Join(cmd.Search, " "), "status": cmd.Status, "department": cmd.Department, "order_by": cmd.OrderBy} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return printList(s, c.pages(s.ctx, "/v1/people", "people", query), listing[*adminpb.Person]{key: "people",
		columns: []column{{"NAME", 16, 0}, {"E-MAIL", 16, 0}, {"STATUS", 0, 1}, {"DEPARTMENT", 10, 2}, {"TITLE", 10, 3}, {"MANAGER", 10, 4}, {"DEVICES", 0, 1}},
		row: func(t *table, p *adminpb.Person) {
			t.add(p.GetName(), cmp.Or(append(p.GetEmails(), p.GetUpn())...), p.GetStatus(), p.GetDepartment(), p.GetTitle(), p.GetManager(), fmt.Sprint(p.GetDeviceCount()))
		},
		none: s.nothing("nobody is found; people come from a directory or a list: see rollcall feeds")})
}

// onePerson names a person.
type onePerson struct {
	Person string `arg:"" complete:"person" help:"Id, e-mail address, principal name, account (CORP\\ann) or employee id."`
}

// path is where the API answers of the person.
func (p onePerson) path() string { return "/v1/people/" + url.PathEscape(p.Person) }

type peopleShowCommand struct{ onePerson }

// Run shows a person.
func (cmd peopleShowCommand) Run(s *session) error {
	return fetch(s, cmd.path(), nil, s.whole)
}

// whole shows a person with who says what of them.
func (s *session) whole(p *adminpb.Person) {
	sh := new(sheet)
	s.person(sh, p)
	sh.row("Devices", number(p.DeviceCount, ""))
	sh.row("Groups", list(p.GetGroups()...))
	sh.applications(p)
	sh.heading("Sources")
	for _, src := range p.GetSources() {
		sh.row(src.GetSource(), joined(", ", src.GetSourceId(), "last seen "+s.ago(src.GetLastSeen())))
	}
	sh.heading("Who says so")
	for _, field := range slices.Sorted(maps.Keys(p.GetProvenance())) {
		sh.row(field, p.GetProvenance()[field].GetSource())
	}
	sh.heading("Where sources disagree")
	for _, conflict := range p.GetConflicts() {
		var said []string
		for _, v := range conflict.GetValues() {
			said = append(said, fmt.Sprintf("%s (%s)", plainValue(v.GetValue()), v.GetSource()))
		}
		sh.row(conflict.GetField(), list(said...))
	}
	s.sheet(sh)
}

// person adds who somebody is.
func (s *session) person(sh *sheet, p *adminpb.Person) {
	sh.row("Name", p.GetName())
	sh.row("ID", p.GetId())
	sh.row("E-mail", list(p.GetEmails()...))
	sh.row("Principal name", p.GetUpn())
	sh.row("Account", p.GetAccount())
	sh.row("Employee id", p.GetEmployeeId())
	sh.row("Status", phrase(p.GetStatus(), p.GetType()))
	sh.row("Title", p.GetTitle())
	sh.row("Department", list(p.GetDepartment(), p.GetDivision(), p.GetCompany()))
	sh.row("Cost center", p.GetCostCenter())
	sh.row("Manager", p.GetManager())
	sh.row("Phone", p.GetPhone())
	sh.row("Location", place(p.GetLocation()))
	sh.row("Started", p.GetStartDate())
	sh.row("Ends", p.GetEndDate())
	sh.row("Second factor", yes(p.Mfa))
	sh.row("Labels", pairs(p.GetLabels()))
}

func place(l *pb.Location) string {
	return list(l.GetSite(), l.GetBuilding(), l.GetFloor(), l.GetRoom(), l.GetCity(), l.GetCountry())
}

func (s *sheet) applications(p *adminpb.Person) {
	s.heading("Applications")
	for _, a := range p.GetApps() {
		s.row(cmp.Or(a.GetName(), a.GetId()), cmp.Or(list(a.GetRole(), a.GetSource()), "yes"))
	}
}

type peopleContextCommand struct{ onePerson }

// Run shows a person as a service desk needs them.
func (cmd peopleContextCommand) Run(s *session) error {
	return fetch(s, cmd.path()+":context", nil, s.context)
}

func (s *session) context(all *adminpb.PersonContext) {
	sh := new(sheet)
	s.person(sh, all.GetPerson())
	if all.GetPerson().GetLocation() == nil {
		sh.row("Location", place(all.GetLocation()))
	}
	sh.applications(all.GetPerson())
	for _, d := range all.GetDevices() {
		s.device(sh, d)
	}
	s.sheet(sh)
	if len(all.GetAttention()) > 0 {
		fmt.Fprintln(s.out, "\nDESERVES A LOOK")
		for _, said := range all.GetAttention() {
			fmt.Fprintln(s.out, clean(said))
		}
	}
	if n := all.GetMoreDevices(); n > 0 {
		s.note("%d devices more are not shown: rollcall assets list --filter 'asset.owner.email == \"...\"'", n)
	}
}

// device adds a device in short.
func (s *session) device(sh *sheet, d *adminpb.PersonDevice) {
	sh.heading(cmp.Or(d.GetName(), d.GetSerial(), d.GetAssetId()))
	sh.row("Relation", d.GetRelation())
	sh.row("Device", phrase(d.GetManufacturer(), d.GetModel(), d.GetClass()))
	sh.row("Serial", list(d.GetSerial(), d.GetAssetTag()))
	sh.row("Stage", d.GetStage())
	sh.row("Last seen", joined(" at ", s.ago(d.GetLastSeen()), d.GetLastAddress()))
	system := phrase(d.GetOsName(), d.GetOsVersion())
	if d.GetOsEol() != "" {
		system += ", supported until " + d.GetOsEol()
	}
	sh.row("System", system)
	if free := size(d.SystemFreeBytes); free != "" {
		sh.row("Free", free+" of "+size(d.SystemSizeBytes))
	}
	sh.row("Encrypted", d.GetDiskEncryption())
	sh.row("Compliant", yes(d.MdmCompliant))
	sh.row("Warranty", joined(" until ", d.GetWarranty().GetProvider(), d.GetWarranty().GetEnd()))
	for _, f := range d.GetFindings() {
		sh.row("Finding", fmt.Sprintf("%s (%s)", cmp.Or(f.GetTitle(), f.GetRule()), f.GetSeverity()))
	}
}
