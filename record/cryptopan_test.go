package record

import (
	"math/bits"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	_ "github.com/tcplife/tcplife/internal/property"
)

// sampleKey is that of the sample in the authors' distribution of Crypto-PAn 1.0.
var sampleKey = [KeySize]byte{21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2}

// The addresses of the authors' sample trace and what their program makes of them; for
// IPv6, which it does not know, what several others agree on.
func TestCryptopanVectors(t *testing.T) {
	c := newCryptopan(sampleKey)
	for from, want := range map[string]string{
		"128.11.68.132":   "135.242.180.132",
		"129.118.74.4":    "134.136.186.123",
		"130.132.252.244": "133.68.164.234",
		"141.223.7.43":    "141.167.8.160",
		"141.233.145.108": "141.129.237.235",
		"152.163.225.39":  "151.140.114.167",
		"156.29.3.236":    "147.225.12.42",
		"165.247.96.84":   "162.9.99.234",
		"166.107.77.190":  "160.132.178.185",
		"192.102.249.13":  "252.138.62.131",
		"192.215.32.125":  "252.43.47.189",
		"192.233.80.103":  "252.25.108.8",
		"192.41.57.43":    "252.222.221.184",
		"193.150.244.223": "253.169.52.216",
		"195.205.63.100":  "255.186.223.5",
		"198.200.171.101": "249.199.68.213",
		"24.0.250.221":    "100.15.198.226",
		"4.3.88.225":      "124.60.155.63",
		"10.185.25.118":   "117.161.29.118",
		"::1":             "78ff:f001:9fc0:20df:8380:b1f1:704:ed",
		"::2":             "78ff:f001:9fc0:20df:8380:b1f1:704:ef",
		"::ffff":          "78ff:f001:9fc0:20df:8380:b1f1:704:f838",
		"2001:db8::1":     "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e",
		"2001:db8::2":     "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c",
	} {
		b := netip.MustParseAddr(from).AsSlice()
		c.apply(b)
		if got, _ := netip.AddrFromSlice(b); got.String() != want {
			t.Errorf("%s becomes %s, want %s", from, got, want)
		}
	}
}

// Two addresses have exactly as many bits in common after as before.
func TestCryptopanKeepsPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := [KeySize]byte(rapid.SliceOfN(rapid.Byte(), KeySize, KeySize).Draw(t, "key"))
		n := rapid.SampledFrom([]int{4, 16}).Draw(t, "octets")
		a, b := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "a"), rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "b")
		if bit := rapid.IntRange(0, 8*n).Draw(t, "common"); bit < 8*n {
			copy(b, a[:bit/8])
			b[bit/8] = a[bit/8] ^ 0x80>>(bit%8)
		} else {
			copy(b, a)
		}
		was := common(a, b)
		c := newCryptopan(key)
		c.apply(a)
		c.apply(b)
		if is := common(a, b); is != was {
			t.Fatalf("%d bits in common, were %d", is, was)
		}
	})
}

func common(a, b []byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 8 * len(a)
}

// A group's address stays one, none becomes a maker's, and no two become one.
func TestHardwareAddresses(t *testing.T) {
	h := newHardware(sampleKey)
	for _, fixed := range [][6]byte{{}, {255, 255, 255, 255, 255, 255}} {
		b := fixed
		if h.apply(b[:]); b != fixed {
			t.Errorf("%x becomes %x", fixed, b)
		}
	}
	seen := map[[6]byte][6]byte{}
	for i := range 1 << 12 {
		from := [6]byte{byte(i & 1), 1, 2, 3, byte(i >> 8), byte(i)}
		b := from
		h.apply(b[:])
		if b[0]&3 != 2|from[0]&1 || b == from {
			t.Fatalf("%x becomes %x", from, b)
		}
		if other, ok := seen[b]; ok {
			t.Fatalf("%x and %x become %x", from, other, b)
		}
		seen[b] = from
	}
}
