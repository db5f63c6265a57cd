// Package picturefile tells from the names of files, in folders and in zip archives, which are pictures.
package picturefile

import "strings"

// Extensions are those of picture files, in lower case.
var Extensions = map[string]bool{
	".jpg": true, ".jpeg": true, ".jpe": true, ".jfif": true, ".png": true, ".gif": true, ".webp": true,
	".bmp": true, ".tif": true, ".tiff": true, ".heic": true, ".heif": true, ".avif": true,
	".ppm": true, ".pgm": true, ".pbm": true, ".pnm": true,
}

// debrisNames are files and folders, in lower case, that systems leave between pictures. Hidden
// ones (.DS_Store, .git, .idea, .thumbnails) are recognised by their dot.
var debrisNames = map[string]string{
	"thumbs.db": "Windows", "ehthumbs.db": "Windows", "ehthumbs_vista.db": "Windows", "desktop.ini": "Windows",
	"$recycle.bin": "Windows", "recycler": "Windows", "recycled": "Windows", "system volume information": "Windows",
	"__macosx": "macOS", "icon\r": "macOS", "network trash folder": "macOS", "temporary items": "macOS", "thefindbyfolder": "macOS",
	"lost+found": "Linux",
	"@eadir":     "a Synology disk station", "#recycle": "a Synology disk station", "#snapshot": "a Synology disk station", "@tmp": "a Synology disk station", "@sharebin": "a Synology disk station",
	"@recycle": "a QNAP disk station", "@recently-snapshot": "a QNAP disk station", "@__thumb": "a QNAP disk station",
	"picasa.ini": "Picasa", "zbthumbnail.info": "a camera's software", "ipod photo cache": "iTunes", "_vti_cnf": "FrontPage",
	"__pycache__": "Python",
}

// debrisEnds are the suffixes of backups, unfinished downloads and previews.
var debrisEnds = []string{"~", ".swp", ".swo", ".swx", ".bak", ".orig", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".aria2", ".lrdata", ".lnk"}

// Debris says why a file or folder of this name is never a picture or a label: "" if it may be.
func Debris(name string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.HasPrefix(name, "."):
		return "hidden"
	case debrisNames[lower] != "":
		return "left there by " + debrisNames[lower]
	case strings.HasPrefix(lower, "thumbs.db:"), strings.HasSuffix(lower, ":zone.identifier"):
		return "left there by Windows"
	case strings.HasPrefix(name, "~$"), len(name) > 1 && name[0] == '#' && name[len(name)-1] == '#':
		return "left there by an editor"
	}
	for _, end := range debrisEnds {
		if strings.HasSuffix(lower, end) {
			return "a backup, shortcut, preview or unfinished file (" + end + ")"
		}
	}
	return ""
}
