package rosetta

// serverPort reports whether a port is one of Zeek's likely_server_ports: the TCP
// ports for which the scripts that it loads by default have an analyzer.
func serverPort(port uint16) bool {
	switch port {
	case 21, 2811, // FTP
		22,      // SSH
		25, 587, // SMTP
		53,                                        // DNS
		79,                                        // finger
		80, 81, 631, 1080, 3128, 8000, 8080, 8888, // HTTP and SOCKS
		88,       // Kerberos
		110,      // POP3
		135,      // DCE/RPC
		139, 445, // SMB
		143,       // IMAP
		389, 3268, // LDAP
		443, 563, 585, 614, 636, 989, 990, 992, 993, 995, 5223, // TLS
		502,        // Modbus
		1434, 3306, // MySQL
		1883,       // MQTT
		3389,       // RDP
		5222, 5269, // XMPP
		5432,                   // PostgreSQL
		6379,                   // Redis
		6666, 6667, 6668, 6669, // IRC
		20000: // DNP3
		return true
	}
	return false
}

// interactive reports whether a port is one of those whose silence Zeek endures for
// an hour: FTP, SSH, telnet, rlogin.
func interactive(port uint16) bool {
	return port == 21 || port == 22 || port == 23 || port == 513
}
