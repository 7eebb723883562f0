package picture

import "encoding/binary"

// upright is the orientation of a picture that need not be turned; EXIF counts from 1 to 8 (CIPA DC-008, 4.6.5.1).
const upright = 1

// orientationOf finds the orientation in EXIF data, which begins with a TIFF header. It reads the first directory and follows no
// other offset, so nothing in it can go in circles, and what it cannot read is upright: a picture is not refused for its metadata.
func orientationOf(exif []byte) int {
	const orientationTag, short = 0x0112, 3
	if len(exif) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := int64(order.Uint32(exif[4:]))
	if at < 8 || at+2 > int64(len(exif)) {
		return upright
	}
	entries := exif[at+2:]
	for n := int(order.Uint16(exif[at:])); n > 0 && len(entries) >= 12; n-- { // a directory has at most 65,535 entries
		if order.Uint16(entries) == orientationTag {
			v := order.Uint16(entries[8:])
			if order.Uint16(entries[2:]) == short && order.Uint32(entries[4:]) == 1 && v >= 1 && v <= 8 {
				return int(v)
			}
			return upright
		}
		entries = entries[12:]
	}
	return upright
}
