//go:build !linux

package capture

import "errors"

const liveCapture = false

func openInterfaces([]string, InterfaceOptions) (Live, error) { return nil, errors.ErrUnsupported }
