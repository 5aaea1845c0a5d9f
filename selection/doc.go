// Package selection decides which connections a report is about: by an expression
// over the fields of the JSON contract, by addresses, ports and services, by time and
// by finding.
//
// An expression is read, checked and compiled once. What it asks for is looked up in
// report's table of fields, so its names, types and closed lists are those of the
// JSON, and a name that there is not is an error that says which may have been meant.
// Then each worker of a pipeline evaluates it on the connections that settle there;
// only the fields that it names are computed.
//
// What is unknown of a connection, and absent from the JSON, is an empty text, or a
// number that is neither less nor more than any other nor equal to it; known(...)
// tells. So no comparison with something unknown holds, except != and negations.
package selection
