// Package confine gives away the rights that a program needs only at its start: it
// becomes an unprivileged user, loses all capabilities, can never gain any again, and may
// write only where it is told. It is called when all sockets, files and folders are open.
package confine

// Limits say what is kept.
type Limits struct {
	// User is who the program becomes, by name or number, if it runs as root. Empty
	// stands for DefaultUser; "root" stays root, without capabilities.
	User string
	// Folders may be written in.
	Folders []string
}

// DefaultUser owns nothing, and every system has it.
const DefaultUser = "nobody"

// Outcome says what was done.
type Outcome struct {
	// User is who the program is now, if root started it.
	User string
	// Landlock says that the kernel holds the program to Folders. Where it cannot, the
	// rights of the user are all that holds it.
	Landlock bool
	// Closed are those of the Folders in which the user may not make files.
	Closed []string
}
