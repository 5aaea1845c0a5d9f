package report

import (
	"slices"
	"strings"
)

// services are well-known names for the ports that servers listen on, by IANA's
// registry and by habit. A table of our own, since /etc/services differs from host to
// host and the same command must select the same everywhere.
var services = []struct {
	name  string
	ports []uint16
}{
	{"amqp", []uint16{5672}}, {"amqps", []uint16{5671}}, {"bgp", []uint16{179}}, {"cassandra", []uint16{9042}}, {"clickhouse", []uint16{8123, 9000}},
	{"consul", []uint16{8500}}, {"couchdb", []uint16{5984}}, {"dns", []uint16{53}}, {"dns-over-tls", []uint16{853}}, {"docker", []uint16{2375, 2376}},
	{"elasticsearch", []uint16{9200, 9300}}, {"etcd", []uint16{2379, 2380}}, {"ftp", []uint16{21}}, {"ftp-data", []uint16{20}}, {"git", []uint16{9418}},
	{"http", []uint16{80}}, {"http-alt", []uint16{8000, 8008, 8080}}, {"https", []uint16{443}}, {"https-alt", []uint16{8443}}, {"imap", []uint16{143}},
	{"imaps", []uint16{993}}, {"ipp", []uint16{631}}, {"iscsi", []uint16{3260}}, {"kafka", []uint16{9092}}, {"kerberos", []uint16{88}},
	{"kubernetes", []uint16{6443}}, {"ldap", []uint16{389}}, {"ldaps", []uint16{636}}, {"memcached", []uint16{11211}}, {"mongodb", []uint16{27017}},
	{"mqtt", []uint16{1883}}, {"mqtts", []uint16{8883}}, {"mssql", []uint16{1433}}, {"mysql", []uint16{3306}}, {"nats", []uint16{4222}},
	{"nfs", []uint16{2049}}, {"ntske", []uint16{4460}}, {"oracle", []uint16{1521}}, {"pop3", []uint16{110}}, {"pop3s", []uint16{995}},
	{"postgresql", []uint16{5432}}, {"prometheus", []uint16{9090}}, {"rdp", []uint16{3389}}, {"redis", []uint16{6379}}, {"rpcbind", []uint16{111}},
	{"rsync", []uint16{873}}, {"rtsp", []uint16{554}}, {"sip", []uint16{5060}}, {"sips", []uint16{5061}}, {"smb", []uint16{445}},
	{"smtp", []uint16{25}}, {"smtps", []uint16{465}}, {"socks", []uint16{1080}}, {"ssh", []uint16{22}}, {"submission", []uint16{587}},
	{"syslog-tls", []uint16{6514}}, {"telnet", []uint16{23}}, {"vnc", []uint16{5900}}, {"whois", []uint16{43}}, {"winrm", []uint16{5985, 5986}},
	{"x11", []uint16{6000}}, {"xmpp-client", []uint16{5222}}, {"xmpp-server", []uint16{5269}}, {"zookeeper", []uint16{2181}},
}

// ServiceNames returns the names that there are, sorted.
func ServiceNames() (names []string) {
	for _, s := range services {
		names = append(names, s.name)
	}
	return names
}

// ServicePorts returns the ports of a service; nil if there is none of that name.
func ServicePorts(name string) []uint16 {
	name = strings.ToLower(name)
	if name == "postgres" {
		name = "postgresql"
	}
	for _, s := range services {
		if s.name == name {
			return s.ports
		}
	}
	return nil
}

// ServiceName returns the name of the service on a port, if there is one.
func ServiceName(port uint16) string {
	for _, s := range services {
		if slices.Contains(s.ports, port) {
			return s.name
		}
	}
	return ""
}
