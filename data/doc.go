// Package data is the table of ready picture sets and label lists, and the
// pen that draws the sets of insects.
//
// It fetches nothing and writes nothing: a [Set] says where a set comes from,
// under which licence, what its files hash to and how it is split;
// tlkit/datasets does the fetching. Label lists and hash lists are embedded
// text. The pictures of ants and bees called insects, insects-medium,
// insects-hard and insects-few are drawn by code in this package from a number, the same on
// every machine.
package data
