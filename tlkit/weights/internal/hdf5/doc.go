// Package hdf5 reads the part of HDF5 that Keras writes: groups, attributes of
// text and datasets of numbers, from files of any version of the format.
//
// It is code of our own because the Go libraries fail on these very files:
// github.com/scigolib/hdf5 v0.14.1 cannot open a group of 177 members (so many layers
// has a ResNet-50) in any of the three forms that HDF5 has for it, and
// gonum.org/v1/hdf5 needs the C library.
//
// Files come from strangers. Every address and size is checked against the file
// before it is followed, all checksums of the newer formats are compared, groups
// may not contain themselves nor be reached twice, nesting and counts have limits,
// and what the description of a file may cost, in bytes read and in memory, is a small
// multiple of its size, however its structures point at each other. Nothing
// outside the file is ever opened: external links, external storage, virtual datasets
// and soft links are ErrOutside.
package hdf5
