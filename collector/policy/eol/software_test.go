package eol

import (
	"strings"
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// known are titles as package managers and installers list them, with the product
// and the release that they are of.
var known = []struct{ kind, name, version, want string }{
	{"msi", "Python 3.8.10 (64-bit)", "3.8.10150.0", "python 3.8"},
	{"msi", "Python 3.11.4 Core Interpreter (64-bit)", "3.11.4150.0", "python 3.11"},
	{"app", "Python 3.9", "3.9.6", "python 3.9"},
	{"homebrew", "python@3.8", "3.8.20", "python 3.8"},
	{"msi", "Node.js", "14.21.3", "nodejs 14"},
	{"homebrew", "node@16", "16.20.2", "nodejs 16"},
	{"homebrew", "node", "23.1.0", "nodejs 23"},
	{"deb", "nodejs", "16.20.2-1nodesource1", "nodejs 16"},
	{"rpm", "nodejs", "2:14.21.3-1nodesource", "nodejs 14"},
	{"msi", "Java 8 Update 381 (64-bit)", "8.0.3810.9", "oracle-jdk 8"},
	{"msi", "Java(TM) SE Development Kit 17.0.8 (64-bit)", "17.0.8.0", "oracle-jdk 17"},
	{"rpm", "jdk-17", "17.0.8-9", "oracle-jdk 17"},
	{"msi", "Eclipse Temurin JDK with Hotspot 11.0.20+8 (x64)", "11.0.20.8", "eclipse-temurin 11"},
	{"deb", "temurin-17-jdk", "17.0.8.0.0+7", "eclipse-temurin 17"},
	{"msi", "Amazon Corretto JDK 11 (x64)", "11.0.20.9", "amazon-corretto 11"},
	{"deb", "java-17-amazon-corretto-jdk", "1:17.0.8.8-1", "amazon-corretto 17"},
	{"rpm", "java-1.8.0-amazon-corretto", "1:1.8.0_382", "amazon-corretto 8"},
	{"msi", "Azul Zulu JDK 17.44.15 (17.0.8), 64-bit", "17.44.15", "azul-zulu 17"},
	{"deb", "zulu11-ca-jdk", "11.66-1", "azul-zulu 11"},
	{"msi", "Microsoft Build of OpenJDK with Hotspot 17.0.8+7 (x64)", "17.0.8.7", "microsoft-build-of-openjdk 17"},
	{"deb", "msopenjdk-11", "11.0.20-1", "microsoft-build-of-openjdk 11"},
	{"msi", "Microsoft .NET Runtime - 6.0.21 (x64)", "48.84.61444", "dotnet 6"},
	{"msi", "Microsoft .NET Core Runtime - 3.1.32 (x64)", "24.192.31915", "dotnet 3.1"},
	{"msi", "Microsoft Windows Desktop Runtime - 5.0.17 (x64)", "5.0.17.31219", "dotnet 5"},
	{"msi", "Microsoft .NET SDK 7.0.400 (x64)", "7.4.23", "dotnet 7"},
	{"msi", "Microsoft ASP.NET Core 6.0.21 - Shared Framework", "6.0.21", "dotnet 6"},
	{"msi", "PowerShell 7-x64", "7.2.13.0", "powershell 7.2"},
	{"deb", "powershell", "7.4.1-1.deb", "powershell 7.4"},
	{"msi", "Go Programming Language amd64 go1.19.4", "1.19.4", "go 1.19"},
	{"homebrew", "go@1.19", "1.19.13", "go 1.19"},
	{"msi", "Ruby 2.7.8-1-x64 with MSYS2", "2.7.8-1", "ruby 2.7"},
	{"homebrew", "ruby@3.1", "3.1.4", "ruby 3.1"},
	{"msi", "Strawberry Perl (64-bit)", "5.32.1001", "perl 5.32"},
	{"msi", "Rust 1.70 (MSVC 64-bit)", "1.70.0.0", "rust 1.70"},
	{"app", "Julia-1.6", "1.6.7", "julia 1.6"},
	{"msi", "Erlang OTP 24 (12.3.2)", "12.3.2", "erlang 24"},
	{"msi", "Microsoft .NET Framework 4.6.1 Targeting Pack", "4.6.01055", "dotnetfx 4.6.1"},
	{"msi", "PostgreSQL 11", "11.20-1", "postgresql 11"},
	{"msi", "PostgreSQL 9.6 (x64)", "9.6", "postgresql 9.6"},
	{"rpm", "postgresql12-server", "12.16-1PGDG.rhel8", "postgresql 12"},
	{"homebrew", "postgresql@14", "14.9", "postgresql 14"},
	{"msi", "MySQL Server 5.7", "5.7.42", "mysql 5.7"},
	{"rpm", "mysql-community-server", "5.7.43-1.el7", "mysql 5.7"},
	{"deb", "mysql-community-server", "8.0.34-1debian12", "mysql 8.0"},
	{"msi", "MariaDB 10.5 (x64)", "10.5.21.0", "mariadb 10.5"},
	{"rpm", "MariaDB-server", "10.6.14-1.el8", "mariadb 10.6"},
	{"msi", "MongoDB 4.4.23 2008R2Plus SSL (64 bit)", "4.4.23", "mongodb 4.4"},
	{"deb", "mongodb-org-server", "4.2.24", "mongodb 4.2"},
	{"msi", "Microsoft SQL Server 2014 (64-bit)", "12.0.2000.8", "mssqlserver 12.0"},
	{"deb", "redis-stack-server", "7.2.0-v2", "redis 7.2"},
	{"rpm", "influxdb", "1.8.10-1", "influxdb 1"},
	{"deb", "influxdb2", "2.7.1-1", "influxdb 2"},
	{"deb", "neo4j", "1:4.4.24", "neo4j 4.4"},
	{"msi", "RabbitMQ Server 3.9.13", "3.9.13", "rabbitmq 3.9"},
	{"msi", "Apache Tomcat 8.5 Tomcat8 (remove only)", "8.5.90", "tomcat 8.5"},
	{"deb", "elasticsearch", "7.17.12", "elasticsearch 7"},
	{"rpm", "kibana", "7.17.12-1", "kibana 7"},
	{"deb", "logstash", "1:7.17.12-1", "logstash 7"},
	{"deb", "grafana-enterprise", "9.5.8", "grafana 9.5"},
	{"msi", "GrafanaOSS", "10.1.0.0", "grafana 10.1"},
	{"msi", "Jenkins 2.346.3", "2.346.3", "jenkins 2.346"},
	{"deb", "gitlab-ee", "15.11.13-ee.0", "gitlab 15.11"},
	{"rpm", "gitlab-runner", "18.1.0-1", "gitlab-runner 18.1"},
	{"deb", "docker-ce", "5:20.10.24~3-0~debian-bullseye", "docker-engine 20.10"},
	{"rpm", "docker-ce", "3:19.03.15-3.el8", "docker-engine 19.03"},
	{"deb", "containerd.io", "1.6.22-1", "containerd 1.6"},
	{"rpm", "kubelet", "1.24.16-0", "kubernetes 1.24"},
	{"deb", "terraform", "1.3.9-1", "terraform 1.3"},
	{"deb", "vault", "1.13.1-1", "hashicorp-vault 1.13"},
	{"rpm", "consul", "1.14.4-1", "consul 1.14"},
	{"deb", "nomad", "1.5.3-1", "nomad 1.5"},
	{"deb", "packer", "1.8.6-1", "hashicorp-packer 1.8"},
	{"msi", "Splunk Enterprise", "8.2.11.0", "splunk 8.2"},
	{"msi", "Zabbix Agent 2 (64-bit)", "5.4.12.2400", "zabbix 5.4"},
	{"msi", "Veeam Backup & Replication Server", "11.0.1.1261", "veeam-backup-and-replication 11"},
	{"msi", "Microsoft Exchange Server 2016 Cumulative Update 23", "15.1.2507.6", "msexchange 2016"},
	{"msi", "Microsoft SharePoint Server 2013", "15.0.4420.1017", "sharepoint 2013"},
	{"msi", "Adobe ColdFusion 2018", "2018.0.19", "coldfusion 2018"},
	{"rpm", "telegraf", "1.27.3-1", "telegraf 1.27"},
	{"msi", "Chef Infra Client v16.18.30", "16.18.30.1", "chef-infra-client 16"},
	{"msi", "Puppet Agent (64-bit)", "6.28.0", "puppet 6"},
	{"deb", "puppet-agent", "7.26.0-1bullseye", "puppet 7"},
	{"msi", "Salt Minion 3004.2 (Python 3)", "3004.2", "salt 3004"},
	{"deb", "pve-manager", "7.4-16", "proxmox-ve 7"},
	{"msi", "Mozilla Firefox (x64 en-US)", "102.15.0", "firefox 102"},
	{"msi", "Mozilla Firefox ESR (x64 de)", "115.2.0", "firefox 115"},
	{"app", "Firefox", "117.0", "firefox 117"},
	{"msi", "Google Chrome", "116.0.5845.141", "chrome 116"},
	{"app", "Google Chrome", "100.0.4896", "chrome 100"},
	{"deb", "google-chrome-stable", "116.0.5845.140-1", "chrome 116"},
	{"msi", "LibreOffice 7.4.7.2", "7.4.7.2", "libreoffice 7.4"},
	{"app", "LibreOffice", "7.5.5.2", "libreoffice 7.5"},
	{"msi", "Wireshark 3.6.8 64-bit", "3.6.8", "wireshark 3.6"},
	{"app", "Wireshark", "4.0.8", "wireshark 4.0"},
	{"msi", "Notepad++ (64-bit x64)", "8.5.6", "notepad-plus-plus 8.5"},
	{"msi", "Oracle VM VirtualBox 6.1.46", "6.1.46", "virtualbox 6.1"},
	{"deb", "virtualbox-6.1", "6.1.46-158378~Debian~bullseye", "virtualbox 6.1"},
	{"msi", "Microsoft Office Professional Plus 2013", "15.0.4569.1506", "office 2013"},
	{"msi", "Microsoft Office Standard 2016", "16.0.4266.1001", "office 2016"},
	{"msi", "FileMaker Pro 18 Advanced", "18.0.3.317", "filemaker 18"},
	{"app", "Blender", "3.3.9", "blender 3.3"},
	{"msi", "Unity 2020.3.48f1", "2020.3.48f1", "unity 2020"},
	{"msi", "OpenVPN 2.4.12-I601 amd64", "2.4.12", "openvpn 2.4"},
	{"msi", "GlobalProtect", "5.2.13", "pangp 5.2"},
	{"msi", "Cortex XDR 8.1.0.45606", "8.1.0.45606", "cortex-xdr 8.1"},
	{"msi", "Windows Internet Explorer 11", "11.0.9600", "internet-explorer 11"},
	{"app", "PowerShell", "7.3.6", "powershell 7.3"},
	{"homebrew", "php@7.4", "7.4.33", "php 7.4"},
	{"homebrew", "mysql@5.7", "5.7.43", "mysql 5.7"},
	{"homebrew", "mariadb@10.6", "10.6.15", "mariadb 10.6"},
	{"homebrew", "terraform", "1.5.6", "terraform 1.5"},
	{"homebrew", "redis", "7.0.12", "redis 7.0"},
	{"homebrew", "nginx", "1.25.2", "nginx 1.25"},
	{"homebrew", "podman", "4.6.1", "podman 4.6"},
	{"homebrew", "openssl@3", "3.1.2", "openssl 3.1"},
	{"homebrew", "kotlin", "1.9.10", "kotlin 1.9"},
	{"homebrew", "gradle@7", "7.6.2", "gradle 7"},
	{"homebrew", "elixir", "1.15.4", "elixir 1.15"},
	{"homebrew", "memcached", "1.6.21", "memcached 1.6"},
	{"homebrew", "opentofu", "1.6.0", "opentofu 1.6"},
	{"homebrew", "tomcat@9", "9.0.80", "tomcat 9.0"},
	{"homebrew", "kafka", "3.5.1", "apache-kafka 3.5"},
	{"homebrew", "maven", "3.9.4", "apache-maven 3.9"},
	{"homebrew", "yarn", "1.22.19", "yarn 1"},
}

// strange are titles that are near a product and are none, or are looked after
// by their distribution.
var strange = []struct{ kind, name, version string }{
	{"deb", "python3.9", "3.9.2-1"},
	{"deb", "nodejs", "12.22.12~dfsg-1~deb11u4"},
	{"rpm", "nodejs", "1:16.20.2-1.el9_2"},
	{"deb", "postgresql-11", "11.21-0+deb10u1"},
	{"rpm", "httpd", "2.4.37-56.el8"},
	{"msi", "Python Launcher", "3.11.4"},
	{"msi", "Not Python 3.8.10 (64-bit)", "3.8"},
	{"msi", "Python 3.8 Tools for Everybody", "3.8"},
	{"msi", "Node.js", "99.1.0"},
	{"app", "My Firefox", "102.0"},
	{"deb", "firefox", "102.15.0"},
	{"appx", "Google Chrome", "100"},
	{"deb", "consul", "1.8.7+dfsg1-2"},
	{"msi", "Java", "8"},
	{"msi", "MySQL Server Workbench", "5.7"},
}

func TestSoftwareIsMatchedExactly(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	products := make(map[string]bool)
	for _, k := range known {
		l, ok := table.Software(&pb.Software{Kind: k.kind, Name: k.name, Version: k.version})
		if !ok || l.Product.Name+" "+l.Release.Name != k.want {
			t.Errorf("%s %q %s: %v %+v, want %s", k.kind, k.name, k.version, ok, l.Release, k.want)
		}
		product, _, _ := strings.Cut(k.want, " ")
		products[product] = true
	}
	if len(known) < 100 {
		t.Errorf("%d titles of %d products", len(known), len(products))
	}
	for _, s := range strange {
		if l, ok := table.Software(&pb.Software{Kind: s.kind, Name: s.name, Version: s.version}); ok {
			t.Errorf("%s %q %s is taken for %s %s", s.kind, s.name, s.version, l.Product.Name, l.Release.Name)
		}
	}
}

// Every product that makers name is one of the data.
func TestMakersNameProducts(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range makers {
		if _, ok := table.Product(m.product); !ok {
			t.Errorf("there is no product %q", m.product)
		}
	}
}

// The end of a release is the first moment without support.
func TestWhenSoftwareEnds(t *testing.T) {
	table, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	l, ok := table.Software(&pb.Software{Kind: "msi", Name: "Python 3.8.10 (64-bit)", Version: "3.8.10150.0"})
	if !ok || l.End.Format("2006-01-02") != "2024-10-08" {
		t.Errorf("python 3.8 ends at %v", l.End)
	}
}
