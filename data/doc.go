// Package data is the table of ready picture sets and label lists, and it draws the sets of
// insects.
//
// It downloads nothing and writes nothing: a [Set] says where a set comes from, its licence,
// the hashes of its files and how it is split; package tlkit/datasets opens it. Label lists
// and lists of hashes are embedded text. The pictures of ants and bees (insects,
// insects-medium, insects-hard, insects-few, insects-labels and insects-values) are drawn by
// code, each from its number, and are the same on every machine.
package data
