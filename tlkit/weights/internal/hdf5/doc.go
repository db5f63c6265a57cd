// Package hdf5 reads the part of HDF5 that Keras writes: groups, attributes with text, and
// datasets of numbers, from files of any version of the format.
//
// Existing Go libraries cannot read these files: github.com/scigolib/hdf5 v0.14.1 cannot open a
// group of 177 members (the layers of a ResNet-50) in any of the three forms that HDF5 has for
// it, and gonum.org/v1/hdf5 needs the C library.
//
// Files are untrusted. Every address and size is checked against the file before it is used,
// all checksums of the newer formats are compared, groups may neither contain themselves nor be
// reached twice, and nesting and counts have limits. The cost of a description, in bytes read
// and in memory, is bounded by a small multiple of the file size, however its structures refer
// to each other. Nothing outside the file is opened: external links, external storage, virtual
// datasets and soft links are ErrOutside.
package hdf5
