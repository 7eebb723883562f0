package sessions

import "strings"

// A sign is a word in a User-Agent header and what it tells. Order matters: browsers name those that they imitate.
type sign struct{ word, means string }

var browsers = []sign{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"},
	{"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"},
	{"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
	{"curl/", "curl"}, {"Go-http-client/", "A Go program"}, {"python-requests/", "A Python program"},
}

var systems = []sign{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"},
	{"Windows", "Windows"}, {"Macintosh", "Mac"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
}

// maxAgent bounds how much of a header is read: the signs stand early, and the header is the client's to choose.
const maxAgent = 512

// Device names the browser and the system of a User-Agent header. The header is a claim, not evidence: the answer is for a
// person to recognise a device by, and consists only of words from this file.
func Device(agent string) string {
	browser, system := first(browsers, agent), first(systems, agent)
	switch {
	case browser == "" && system == "":
		return "Unknown device"
	case browser == "":
		return "Unknown browser on " + system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

// Handheld reports whether a User-Agent header claims to be a phone or a tablet.
func Handheld(agent string) bool {
	switch first(systems, agent) {
	case "iPhone", "iPad", "Android":
		return true
	}
	return false
}

func first(signs []sign, agent string) string {
	agent = agent[:min(len(agent), maxAgent)]
	for _, s := range signs {
		if strings.Contains(agent, s.word) {
			return s.means
		}
	}
	return ""
}
