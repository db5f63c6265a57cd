// Package transforms turns pictures into the numbers that a network expects, in the same way as
// the code that trained the network.
//
// A pipeline is written almost as in PyTorch:
//
//	train := transforms.Compose(
//		transforms.RandomResizedCrop(224),
//		transforms.RandomHorizontalFlip(),
//		transforms.ToTensor(),
//		transforms.Normalize([3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}),
//	)
//	x, err := train.Apply(picture, transforms.Rand{Seed: 1, Epoch: 3, Picture: 17})
//
// A [Preset] describes the pictures a checkpoint was trained on. It is kept with the weights, and
// [Preset.Eval] and [Preset.Train] make pipelines from it.
//
// # How exact this is
//
// Small differences in pixels change the output of a network more than expected: another resize
// filter changes the logits of a ResNet-18 by about 2 %, and so does a simpler upsampling of the
// colour planes of a JPEG. So the reference is Pillow 13 with libjpeg-turbo and libwebp, and
// torchvision on top of it:
//
//   - JPEG (baseline and progressive, grey, YCbCr, RGB, CMYK, YCCK): equal bit for bit
//   - PNG, GIF, WebP (lossy and lossless): equal bit for bit, except that 16-bit grey PNG keeps
//     its high byte (Pillow clips such pictures to white)
//   - [Picture.Resize] with all six filters, crops, flips, [ColorJitter]: equal bit for bit
//   - ToTensor and Normalize: equal float32 for float32
//
// Random steps have the same distributions as torchvision's, but not the same numbers. They
// depend only on seed, epoch and picture, never on the number of workers.
//
// Pictures are RGB with 8 bits and without alpha (dropped, not composited, as in Pillow's
// convert("RGB")). Tensors are float32 in the order height, width, channel. The package does not
// depend on GoMLX.
package transforms
