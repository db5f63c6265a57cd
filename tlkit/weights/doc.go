// Package weights reads files of trained weights: it lists the named tensors of a file and
// loads exactly those that an architecture needs, or returns an error that lists every
// difference. It also writes safetensors.
//
// # Reading
//
// [Open] recognises safetensors, both formats of PyTorch, the four of Keras and ONNX by their
// first bytes. In a PyTorch file it finds the state dict: the file's own, one inside a training
// checkpoint ("state_dict", "model", ...), or the parameters and buffers of a whole module. It
// strips "module." and "_orig_mod." if they are before every name. [Match] then loads what an
// architecture needs, in the layout it needs.
//
// # Files of Keras
//
// The key of a tensor is its name in the file:
//
//   - In .h5 and .hdf5 (Keras 1 and 2), it is the name of the weight without ":0", as in
//     "block1_conv1/kernel". If that does not begin with the name of its layer, LAYER/ is put
//     before it: "batch_normalization_1/batch_normalization_1_1/gamma", or
//     "mobilenetv2_1.00_224/Conv1/kernel" for a network within a network. The order is that of
//     the model's layers.
//   - In .weights.h5 and .keras (Keras 3), it is the place in the tree of groups,
//     "layers/conv2d_1/vars/0": the first weight of the second Conv2D of the model. The order
//     is that of the places, conv2d_2 before conv2d_10.
//   - In TensorFlow.js' model.json, it is the name there, "Conv1/kernel", in the order of the
//     list. 8- and 16-bit numbers are read as the float32 that they stand for.
//
// Optimizer state is left out. [KerasNames] brings all of them to one form,
// "block1_conv1/kernel", and finds layers that Keras has numbered. Kernels need no relayout,
// except depthwise ones ([HWC1toHWC]).
//
// # Untrusted files
//
// A PyTorch file is a Python pickle, which is a small program: loading it with Python can run
// anything. Here it can run nothing.
//
//   - The pickle is read by an interpreter of this package. It knows the operations that build
//     numbers, text, lists and dicts, and refuses all others. A class or function in it is only
//     a name. The eight functions by which torch describes tensors are understood; an object of
//     any other class is kept as inert data and, if it is among the tensors, reported in
//     File.Skipped.
//   - A pickle with a name that only an attack needs (os, subprocess, builtins.eval and
//     similar) is refused, although it could do nothing.
//   - TorchScript, which is a program by design, PyTorch's tar format, big-endian files and
//     anything else that is not a state dict are refused with a message that says what they
//     are.
//
// Files of Keras contain numbers and a description of the network as text. The description is
// only used to recognise the network; nothing in it is built or run. A network with a Lambda
// layer, which is Python code, is refused with the name of the layer: without the code it would
// compute something else. HDF5 can refer to other files; such links, external storage and soft
// links are refused. TensorFlow.js' files of numbers must be in the folder of model.json.
//
// Every size in a file is checked before anything is allocated: against the bytes that are
// really there, and with products that cannot overflow. Tensors must be inside their storage,
// the tensors of safetensors must cover the data exactly and without overlap, and zip records
// may neither overlap nor unpack to absurd sizes. Operations, nesting, names, ranks and counts
// have limits. A view that repeats its storage may be at most four times as large (65,536
// elements are always allowed).
//
// The cost of reading is also limited in proportion to the size of the file. All readers draw from
// one budget: for the description of the tensors, 16 MiB plus 4 bytes per byte of the file, at most
// 160 MiB; for the elements of all tensors as float32, with shared bytes counted for each view, 32
// MiB plus 6 bytes per byte; and 30 seconds plus a second per 10 MB. JSON is checked before it is
// decoded: the number of its values, its depth, and the length of its strings and numbers. Error
// messages show at most 60 characters of a value from the file, escaped.
//
// Flipped bits are detected where the format has a checksum: in the records of a PyTorch zip
// (torch itself does not check them) and of a .keras archive, and in HDF5's fletcher32.
// safetensors, legacy files and most HDF5 files have none: compare the SHA-256 of the file with
// a published one before opening it. No check can recognise well-formed weights that were
// trained to misbehave.
//
// Files are read into memory and not mapped: a file that is truncated or rewritten while it is
// open gives an error, and not a killed process or a mixture of two checkpoints.
package weights
