// Package weights reads the weights that other people trained: a file becomes
// a list of named tensors, and those become exactly what an architecture wants,
// or an error that lists every difference. It also writes safetensors.
//
// # Reading
//
// [Open] recognises safetensors, both PyTorch formats and the four of Keras by their first bytes.
// In a PyTorch file it finds the state dict: the file's own, one inside a training
// checkpoint ("state_dict", "model", ...) or the parameters and buffers of a
// whole module; "module." and "_orig_mod." before every name are stripped.
// [Match] then loads what an architecture wants, in the layout it wants.
//
// # Files of Keras
//
// A tensor's key is what the file calls it:
//
//   - In .h5 and .hdf5 (Keras 1 and 2) the name of the weight without ":0", as in
//     "block1_conv1/kernel". Where that does not begin with the name of its layer,
//     LAYER/ is put before it: "batch_normalization_1/batch_normalization_1_1/gamma",
//     "mobilenetv2_1.00_224/Conv1/kernel" for a network within a network. The order is
//     that of the model's layers.
//   - In .weights.h5 and .keras (Keras 3) its place in the tree of groups,
//     "layers/conv2d_1/vars/0": the second Conv2D among the model's layers and its
//     first weight. The order is that of places, conv2d_2 before conv2d_10.
//   - In TensorFlow.js' model.json its name there, "Conv1/kernel", in the order of the
//     list. 8- and 16-bit numbers are read as the float32 that they stand for.
//
// Optimizer state is left out. [KerasNames] brings all of them to one form,
// "block1_conv1/kernel", and finds layers that Keras numbered itself. Kernels need
// no relayout, except a depthwise one ([HWC1toHWC]).
//
// # What a stranger's file can do
//
// A PyTorch file is a Python pickle, a small program: loading one in Python can
// run anything. Here it can run nothing.
//
//   - The pickle is read by an interpreter of our own that knows the operations
//     which build numbers, texts, lists and dicts, and refuses the others by
//     number. A class or function in it is a name. The eight functions by which
//     torch describes tensors are understood; an object of any other class is kept
//     as inert data and reported in File.Skipped if it stands among the tensors.
//   - A pickle that names what only an attack needs (os, subprocess, builtins.eval
//     and the like) is refused with that name, although it could do nothing.
//   - TorchScript is a program by design and refused by name, and so are PyTorch's
//     tar format, big-endian files and whatever else is no state dict.
//
// Files of Keras hold numbers and a description of the network as text. The text is
// looked at for what helps to recognise the network, and nothing in it is built. A
// network with a Lambda layer, which is Python code, is refused with the layer's
// name: without the code it would compute something else. HDF5 can point at other
// files; such links, external storage and soft links are refused, and TensorFlow.js'
// files of numbers must be in the folder of model.json.
//
// No size in a file is believed before it is checked: against the bytes that
// are really there, with products that cannot overflow, and before anything is
// allocated. Tensors must lie inside their storage, safetensors must cover the
// data exactly and without overlap, zip records may not overlap nor unpack to
// absurd sizes; operations, nesting, names, ranks and counts have limits. A view
// that repeats its storage may be four times as large, not more (65,536 elements
// are free).
//
// Flipped bits are found where the format has a checksum: the records of a
// PyTorch zip (torch itself does not check them) and of a .keras archive, HDF5's
// fletcher32. safetensors, legacy files and most HDF5 files have none: compare
// the file's SHA-256 with a published one before opening. Nothing can recognise
// well-formed weights that were trained to misbehave.
//
// Files are read with ordinary reads into memory of our own, not mapped: a file
// that is cut or rewritten while it is open gives an error instead of a
// killed process or a mixture of two checkpoints.
package weights
