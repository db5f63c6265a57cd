package serve

import (
	"embed"
	"mime"
	"net/http"
	"path"
)

//go:embed page
var page embed.FS

// pagePolicy lets the page load what this server sends, and pictures that the browser itself holds.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageFile answers with a file of the page.
func pageFile(name string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		data, err := page.ReadFile("page/" + name)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		w.Header().Set("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
		_, _ = w.Write(data) // the client may be gone
		return nil
	}
}
