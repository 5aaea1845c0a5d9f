package report

import _ "embed"

// SchemaJSON is the JSON Schema (2020-12) of the formats ndjson and json: of one
// line of the former and of the latter's document. Its descriptions give each
// field's meaning and unit; docs/data.md maps the fields to other tools' names.
//
//go:embed schema/tcplife-1.schema.json
var SchemaJSON []byte
