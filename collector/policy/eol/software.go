package eol

import (
	"regexp"
	"slices"
	"time"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Kinds of software by who looks after it. What a distribution packages is kept
// alive by the distribution for as long as its release is, whatever upstream
// says, so its own packages are not matched: only those that the makers publish.
var (
	onWindows = []string{"msi"}
	mac       = []string{"app"}
	brew      = []string{"homebrew"}
	vendors   = []string{"deb", "rpm"}
	desktop   = []string{"msi", "app"}
	java      = []string{"msi", "deb", "rpm"}
)

// bits ends the names of programs for Windows.
const bits = `(?: \((?:x64|x86|arm64|32-bit|64-bit|64-bit x64|32-bit x86|ARM 64-bit)\)| (?:64-bit|32-bit|x64|x86|arm64))?$`

// maker is how one product's installers name it. The name is matched as a whole;
// a group in it is the version where the row's own counts otherwise.
type maker struct {
	product string
	kinds   []string
	name    *regexp.Regexp
}

func is(product string, kinds []string, name string) maker {
	return maker{product, kinds, regexp.MustCompile(`(?i)^` + name)}
}

// makers lists names as the installers of the makers write them into the system.
var makers = slices.Concat(runtimes, servers, programs, formulas)

var runtimes = []maker{
	is("python", onWindows, `Python (\d+\.\d+)(?:\.\d+)?(?: Core Interpreter| Executables| Standard Library)?`+bits),
	is("python", mac, `Python (\d+\.\d+)$`), is("nodejs", onWindows, `Node\.js$`), is("oracle-jdk", onWindows, `Java (\d+) Update \d+`+bits),
	is("oracle-jdk", onWindows, `Java\(TM\) SE Development Kit (\d+)(?:\.\d+)*`+bits), is("oracle-jdk", vendors, `jdk-(\d+)$`),
	is("eclipse-temurin", onWindows, `Eclipse Temurin J(?:DK|RE) with Hotspot (\d+)[\w.+-]*`+bits), is("eclipse-temurin", vendors, `temurin-(\d+)-j(?:dk|re)$`),
	is("amazon-corretto", onWindows, `Amazon Corretto (?:JDK |JRE )?(\d+)`+bits), is("amazon-corretto", vendors, `java-(\d+|1\.8\.0)-amazon-corretto(?:-jdk|-devel)?$`),
	is("azul-zulu", java, `(?:Azul )?Zulu (?:JDK|JRE) (\d+)[\w.]*(?: \([\w.]+\))?(?:, [\w-]+)?`+bits), is("azul-zulu", vendors, `zulu-?(\d+)(?:-ca)?-jdk(?:-headless)?$`),
	is("microsoft-build-of-openjdk", onWindows, `Microsoft Build of OpenJDK with Hotspot (\d+)[\w.+-]*`+bits), is("microsoft-build-of-openjdk", vendors, `msopenjdk-(\d+)$`),
	is("dotnet", onWindows, `Microsoft \.NET (?:Core )?(?:Runtime|SDK|Host) - (\d+(?:\.\d+)?)[\w.]*`+bits), is("dotnet", onWindows, `Microsoft \.NET (?:Core )?SDK (\d+(?:\.\d+)?)[\w.]*`+bits),
	is("dotnet", onWindows, `Microsoft Windows Desktop Runtime - (\d+(?:\.\d+)?)[\w.]*`+bits), is("dotnet", onWindows, `Microsoft ASP\.NET Core (\d+(?:\.\d+)?)[\w.]* .*Shared Framework`+bits),
	is("powershell", onWindows, `PowerShell (?:6|7)(?:-(?:x64|x86|arm64|preview))*$`), is("powershell", vendors, `powershell$`), is("go", onWindows, `Go Programming Language (?:amd64|386|arm64) go(\d+\.\d+)[\w.]*$`),
	is("ruby", onWindows, `Ruby (\d+\.\d+)[\w.-]*(?: with MSYS2)?`+bits), is("perl", onWindows, `Strawberry Perl`+bits), is("rust", onWindows, `Rust (\d+\.\d+)[\w. ()-]*$`),
	is("julia", desktop, `Julia(?:[ -]\d+(?:\.\d+)*)?$`), is("erlang", onWindows, `Erlang OTP (\d+)[\w.() ]*$`), is("dotnetfx", onWindows, `Microsoft \.NET Framework (\d+\.\d+(?:\.\d+)?) (?:SDK|Targeting Pack|Multi-Targeting Pack)$`),
	is("nodejs", vendors, `nodejs$`),
}

var servers = []maker{
	is("postgresql", onWindows, `PostgreSQL (\d+(?:\.\d+)?)`+bits), is("postgresql", []string{"rpm"}, `postgresql(\d{2})-server$`), is("mysql", onWindows, `MySQL Server (\d+\.\d+)$`),
	is("mysql", vendors, `mysql-community-server$`), is("mariadb", onWindows, `MariaDB (\d+\.\d+)`+bits), is("mariadb", []string{"rpm"}, `MariaDB-server$`), is("mongodb", onWindows, `MongoDB [\d.]+ .*\(64 bit\)$`),
	is("mongodb", vendors, `mongodb-(?:org|enterprise)-server$`), is("mssqlserver", onWindows, `Microsoft SQL Server 20\d\d(?: R2)?(?: Setup \(English\)| RsFx Driver| Database Engine Services)?`+bits),
	is("redis", vendors, `redis-stack-server$`), is("influxdb", vendors, `influxdb2?$`), is("neo4j", vendors, `neo4j(?:-enterprise)?$`), is("rabbitmq", onWindows, `RabbitMQ Server [\d.]+$`),
	is("tomcat", onWindows, `Apache Tomcat (\d+\.\d+)(?: Tomcat\d+)?(?: \(remove only\))?$`), is("elasticsearch", vendors, `elasticsearch$`), is("kibana", vendors, `kibana$`), is("logstash", vendors, `logstash$`),
	is("grafana", vendors, `grafana(?:-enterprise)?$`), is("grafana", onWindows, `Grafana(?:OSS|Enterprise)?$`), is("jenkins", onWindows, `Jenkins [\d.]+$`), is("gitlab", vendors, `gitlab-(?:ee|ce)$`),
	is("gitlab-runner", vendors, `gitlab-runner$`), is("docker-engine", vendors, `docker-(?:ce|ee)$`), is("containerd", vendors, `containerd\.io$`), is("kubernetes", vendors, `kube(?:let|adm)$`),
	is("terraform", vendors, `terraform$`), is("hashicorp-vault", vendors, `vault(?:-enterprise)?$`), is("consul", vendors, `consul(?:-enterprise)?$`), is("nomad", vendors, `nomad(?:-enterprise)?$`),
	is("hashicorp-packer", vendors, `packer$`), is("boundary", vendors, `boundary(?:-enterprise)?$`), is("splunk", onWindows, `Splunk Enterprise$`), is("zabbix", onWindows, `Zabbix Agent(?: 2)? \(64-bit\)$`),
	is("veeam-backup-and-replication", onWindows, `Veeam Backup & Replication(?: Server)?$`), is("msexchange", onWindows, `Microsoft Exchange Server (20\d\d)(?: Cumulative Update \d+)?$`),
	is("sharepoint", onWindows, `Microsoft SharePoint (?:Foundation|Server) (20\d\d)(?: Core)?$`), is("coldfusion", onWindows, `Adobe ColdFusion (\d+)(?: .*)?$`), is("telegraf", vendors, `telegraf$`),
	is("chef-infra-client", onWindows, `Chef Infra Client v[\d.]+$`), is("chef-infra-client", vendors, `chef$`), is("puppet", onWindows, `Puppet Agent`+bits), is("puppet", vendors, `puppet-agent$`),
	is("salt", onWindows, `Salt Minion (?:\d[\d.]*)?(?: \(Python 3\))?(?:\(x64\))?$`), is("teleport", vendors, `teleport(?:-ent)?$`), is("sonarqube-server", onWindows, `SonarQube(?: \d[\d.]*)?$`),
	is("proxmox-ve", []string{"deb"}, `pve-manager$`), is("proxmox-backup-server", []string{"deb"}, `proxmox-backup-server$`), is("cockroachdb", vendors, `cockroachdb$`), is("rabbitmq", []string{"rpm"}, `rabbitmq-server$`),
}

var programs = []maker{
	is("firefox", onWindows, `Mozilla Firefox(?: ESR)? \([\w. -]+\)$`), is("firefox", mac, `Firefox$`), is("chrome", desktop, `Google Chrome$`), is("chrome", vendors, `google-chrome-stable$`),
	is("libreoffice", desktop, `LibreOffice(?: \d+(?:\.\d+)+)?$`), is("wireshark", onWindows, `Wireshark (?:\d+(?:\.\d+)+)`+bits), is("wireshark", mac, `Wireshark$`), is("notepad-plus-plus", onWindows, `Notepad\+\+`+bits),
	is("virtualbox", onWindows, `Oracle (?:VM )?VirtualBox (?:Guest Additions )?\d[\d.]*$`), is("virtualbox", mac, `VirtualBox$`), is("virtualbox", vendors, `virtualbox-(\d+\.\d+)$`),
	is("visual-studio", onWindows, `(?:Microsoft )?Visual Studio (?:Community|Professional|Enterprise) 20\d\d$`), is("office", onWindows, `Microsoft Office (?:Professional Plus|Standard|Professional|Home and Business|Home and Student) (20(?:07|10|13|16|19|21|24))(?: - [\w-]+)?$`),
	is("filemaker", onWindows, `FileMaker Pro (?:Advanced )?(\d+)(?: Advanced)?$`), is("blender", onWindows, `blender$`), is("blender", mac, `Blender$`), is("unity", onWindows, `Unity (\d{4}\.\d+)[\w.]*$`),
	is("godot", mac, `Godot$`), is("openvpn", onWindows, `OpenVPN [\d.]+-I\d+(?: amd64| x86| arm64)?$`), is("pangp", desktop, `GlobalProtect$`), is("cortex-xdr", onWindows, `Cortex XDR [\d.]+$`), is("cortex-xdr", mac, `Cortex XDR$`),
	is("citrix-vad", onWindows, `Citrix (?:Virtual Apps and Desktops 7 )?(\d{4})(?: LTSR)?(?: CU\d+)? - Virtual Delivery Agent$`), is("horizon", onWindows, `VMware Horizon Agent$`), is("internet-explorer", onWindows, `Windows Internet Explorer (\d+)$`),
	is("clamav", onWindows, `ClamAV$`), is("oracle-jdk", mac, `Java (\d+)$`), is("powershell", mac, `PowerShell$`), is("powershell", []string{"msi"}, `PowerShell \d+\.\d+\.\d+-x64$`), is("terraform", onWindows, `HashiCorp Terraform$`),
}

// formulas are Homebrew's, whose names carry the release where several are kept.
var formulas = []maker{
	is("python", brew, `python@(\d+\.\d+)$`), is("nodejs", brew, `node(?:@\d+)?$`), is("postgresql", brew, `postgresql@(\d+)$`), is("php", brew, `php(?:@\d+\.\d+)?$`), is("mysql", brew, `mysql(?:@\d+\.\d+)?$`),
	is("mariadb", brew, `mariadb(?:@\d+\.\d+)?$`), is("ruby", brew, `ruby(?:@\d+\.\d+)?$`), is("go", brew, `go(?:@\d+\.\d+)?$`), is("rust", brew, `rust$`), is("perl", brew, `perl$`), is("deno", brew, `deno$`), is("bun", brew, `bun$`),
	is("terraform", brew, `terraform$`), is("ansible", brew, `ansible(?:@\d+)?$`), is("redis", brew, `redis(?:@\d+\.\d+)?$`), is("mongodb", brew, `mongodb-community(?:@\d+\.\d+)?$`), is("elixir", brew, `elixir$`), is("erlang", brew, `erlang(?:@\d+)?$`),
	is("nginx", brew, `nginx$`), is("kotlin", brew, `kotlin$`), is("gradle", brew, `gradle(?:@\d+)?$`), is("julia", brew, `julia$`), is("podman", brew, `podman$`), is("scala", brew, `scala(?:@\d+\.\d+)?$`), is("lua", brew, `lua(?:@\d+\.\d+)?$`),
	is("memcached", brew, `memcached$`), is("rabbitmq", brew, `rabbitmq$`), is("openssl", brew, `openssl(?:@\d+(?:\.\d+)?)?$`), is("apache-maven", brew, `maven$`), is("apache-cassandra", brew, `cassandra$`), is("hashicorp-vault", brew, `vault$`),
	is("consul", brew, `consul$`), is("opentofu", brew, `opentofu$`), is("sqlite", brew, `sqlite$`), is("telegraf", brew, `telegraf$`), is("grafana", brew, `grafana$`), is("prometheus", brew, `prometheus$`), is("yarn", brew, `yarn$`), is("pnpm", brew, `pnpm$`),
	is("containerd", brew, `containerd$`), is("composer", brew, `composer$`), is("ffmpeg", brew, `ffmpeg$`), is("tomcat", brew, `tomcat(?:@\d+)?$`), is("zookeeper", brew, `zookeeper$`), is("apache-kafka", brew, `kafka$`),
}

// distribution marks versions of packages that share a name with the maker's.
var distribution = regexp.MustCompile(`\.(?:el|fc)\d|ubuntu|deb\d|\+dfsg|~bpo`)

// Lifetime is when an installed title's release ends.
type Lifetime struct {
	Product *Product
	Release *Release
	// End is the first moment without support; zero where none is known.
	End time.Time
}

// Software returns the lifetime of a title, false where its name is not exactly
// that of a product, or its version is of no release that the data has.
func (t *Table) Software(s *pb.Software) (Lifetime, bool) {
	for _, m := range makers {
		if !slices.Contains(m.kinds, s.GetKind()) {
			continue
		}
		found := m.name.FindStringSubmatch(s.GetName())
		if found == nil || m.shared() && distribution.MatchString(s.GetVersion()) {
			continue
		}
		p, ok := t.Product(m.product)
		if !ok {
			return Lifetime{}, false
		}
		version := epoch.ReplaceAllString(s.GetVersion(), "")
		if len(found) > 1 && found[1] != "" {
			version = found[1]
		}
		if m.product == "amazon-corretto" && version == "1.8.0" {
			version = "8"
		}
		r, ok := p.Cycle(version)
		if !ok {
			return Lifetime{}, false
		}
		return Lifetime{Product: p, Release: r, End: r.end(t.date)}, true
	}
	return Lifetime{}, false
}

var epoch = regexp.MustCompile(`^\d+:`)

// shared tells of packages whose name a distribution may use as well.
func (m maker) shared() bool {
	return slices.Contains([]string{"nodejs", "grafana", "consul", "nomad", "terraform", "hashicorp-packer", "influxdb", "telegraf", "puppet", "gitlab-runner", "rabbitmq", "teleport", "kubernetes"}, m.product)
}

// end is the first moment without support.
func (r *Release) end(asOf time.Time) time.Time {
	switch {
	case !r.EOL.IsZero():
		return r.EOL.AddDate(0, 0, 1)
	case r.Ended:
		return asOf
	}
	return time.Time{}
}
