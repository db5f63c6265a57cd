// Package transforms turns a picture into the numbers a network expects, and does it
// the way the network's own training code did.
//
// A pipeline is written nearly as in PyTorch:
//
//	train := transforms.Compose(
//		transforms.RandomResizedCrop(224),
//		transforms.RandomHorizontalFlip(),
//		transforms.ToTensor(),
//		transforms.Normalize([3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}),
//	)
//	x, err := train.Apply(picture, transforms.Rand{Seed: 1, Epoch: 3, Picture: 17})
//
// A [Preset] is the same knowledge as data: what a checkpoint was trained on. It travels
// with the weights, and [Preset.Eval] and [Preset.Train] make pipelines of it.
//
// # How exact this is
//
// Small differences in pixels move the output of a network by more than one expects:
// another resize filter moves the logits of a ResNet-18 by about 2 %, and so does a
// simpler upsampling of JPEG's colour planes. So the reference is Pillow 13 with
// libjpeg-turbo and libwebp, and torchvision on top of it:
//
//   - JPEG (baseline and progressive, grey, YCbCr, RGB, CMYK, YCCK): equal bit for bit
//   - PNG, GIF, WebP (lossy and lossless): equal bit for bit, except that 16-bit grey PNG keeps
//     its high byte (Pillow clips such pictures to white)
//   - [Picture.Resize] with all six filters, crops, flips, [ColorJitter]: equal bit for bit
//   - ToTensor and Normalize: equal float32 for float32
//
// The random draws are our own: the same distributions as torchvision's, not the same
// numbers. They depend on (seed, epoch, picture) alone, never on the number of workers.
//
// Pictures are RGB, 8 bits, without alpha (dropped, not composited: as Pillow's
// convert("RGB")); tensors are float32 in the order height, width, channel.
// The package knows nothing of GoMLX.
package transforms
