package zoo

import (
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// The dialects of the table's families. On the right are timm's names, or for residual networks
// torchvision's, which timm has taken over.

const (
	transformersNames = "Hugging Face's transformers"
	torchvisionNames  = "torchvision"
)

// Of ViT, DeiT, DINO, MAE and DINOv2, as versions 4 and 5 of transformers write them.
const vitTransformers = `
	embeddings.cls_token                                                    -> cls_token
	embeddings.position_embeddings                                          -> pos_embed
	embeddings.register_tokens                                              -> reg_token
	embeddings.patch_embeddings.projection.*                                -> patch_embed.proj.*
	(encoder.layer|layers|encoder.layers).#.(layernorm_before|norm1).*      -> blocks.#.norm1.*
	(encoder.layer|encoder.layers).#.attention.attention.{query+key+value}.* -> blocks.#.attn.qkv.*
	(encoder.layer|layers|encoder.layers).#.attention.{q_proj+k_proj+v_proj}.* -> blocks.#.attn.qkv.*
	(encoder.layer|layers|encoder.layers).#.attention.(output.dense|o_proj).* -> blocks.#.attn.proj.*
	(encoder.layer|layers|encoder.layers).#.layer_scale1.lambda1            -> blocks.#.ls1.gamma
	(encoder.layer|layers|encoder.layers).#.(layernorm_after|norm2).*       -> blocks.#.norm2.*
	(encoder.layer|layers|encoder.layers).#.(intermediate.dense|mlp.fc1).*  -> blocks.#.mlp.fc1.*
	(encoder.layer|layers|encoder.layers).#.(output.dense|mlp.fc2).*        -> blocks.#.mlp.fc2.*
	(encoder.layer|layers|encoder.layers).#.layer_scale2.lambda1            -> blocks.#.ls2.gamma
	layernorm.*                                                             -> norm.*
	../classifier.*                                                         -> head.*
`

// Of the picture towers of CLIP and SigLIP.
const clipTransformers = `
	embeddings.class_embedding                              -> cls_token
	embeddings.position_embedding.weight                    -> pos_embed
	embeddings.patch_embedding.*                            -> patch_embed.proj.*
	pre_layrnorm.*                                          -> norm_pre.*
	encoder.layers.#.layer_norm1.*                          -> blocks.#.norm1.*
	encoder.layers.#.self_attn.{q_proj+k_proj+v_proj}.*     -> blocks.#.attn.qkv.*
	encoder.layers.#.self_attn.out_proj.*                   -> blocks.#.attn.proj.*
	encoder.layers.#.layer_norm2.*                          -> blocks.#.norm2.*
	encoder.layers.#.mlp.fc1.*                              -> blocks.#.mlp.fc1.*
	encoder.layers.#.mlp.fc2.*                              -> blocks.#.mlp.fc2.*
	post_layernorm.*                                        -> norm.*
	head.probe                                              -> attn_pool.latent
	head.attention.in_proj_weight                           -> attn_pool.{q+kv}.weight
	head.attention.in_proj_bias                             -> attn_pool.{q+kv}.bias
	head.attention.out_proj.*                               -> attn_pool.proj.*
	head.layernorm.*                                        -> attn_pool.norm.*
	head.mlp.fc1.*                                          -> attn_pool.mlp.fc1.*
	head.mlp.fc2.*                                          -> attn_pool.mlp.fc2.*
	../classifier.*                                         -> head.*
`

// Of OpenAI's and OpenCLIP's own code.
const clipOpen = `
	class_embedding                             -> cls_token
	positional_embedding                        -> pos_embed
	conv1.*                                     -> patch_embed.proj.*
	ln_pre.*                                    -> norm_pre.*
	transformer.resblocks.#.ln_1.*              -> blocks.#.norm1.*
	transformer.resblocks.#.attn.in_proj_weight -> blocks.#.attn.qkv.weight
	transformer.resblocks.#.attn.in_proj_bias   -> blocks.#.attn.qkv.bias
	transformer.resblocks.#.attn.out_proj.*     -> blocks.#.attn.proj.*
	transformer.resblocks.#.ln_2.*              -> blocks.#.norm2.*
	transformer.resblocks.#.mlp.c_fc.*          -> blocks.#.mlp.fc1.*
	transformer.resblocks.#.mlp.c_proj.*        -> blocks.#.mlp.fc2.*
	ln_post.*                                   -> norm.*
	head.*                                      -> head.*
`

const vitTorchvision = `
	class_token                                               -> cls_token
	encoder.pos_embedding                                     -> pos_embed
	conv_proj.*                                               -> patch_embed.proj.*
	encoder.layers.encoder_layer_#.ln_1.*                     -> blocks.#.norm1.*
	encoder.layers.encoder_layer_#.self_attention.in_proj_weight -> blocks.#.attn.qkv.weight
	encoder.layers.encoder_layer_#.self_attention.in_proj_bias -> blocks.#.attn.qkv.bias
	encoder.layers.encoder_layer_#.self_attention.out_proj.*  -> blocks.#.attn.proj.*
	encoder.layers.encoder_layer_#.ln_2.*                     -> blocks.#.norm2.*
	encoder.layers.encoder_layer_#.mlp.(0|linear_1).*         -> blocks.#.mlp.fc1.*
	encoder.layers.encoder_layer_#.mlp.(3|linear_2).*         -> blocks.#.mlp.fc2.*
	encoder.ln.*                                              -> norm.*
	heads.(head|0).*                                          -> head.*
`

// Of the authors of DINOv2 with registers; without, timm has kept their names.
const dinov2Names = `
	register_tokens -> reg_token
	**              -> **
`

const convNeXtTransformers = `
	embeddings.patch_embeddings.*                        -> stem.0.*
	embeddings.layernorm.*                               -> stem.1.*
	encoder.stages.#.downsampling_layer.0.*              -> stages.#.downsample.0.*
	encoder.stages.#.downsampling_layer.1.*              -> stages.#.downsample.1.*
	encoder.stages.#.layers.#.dwconv.*                   -> stages.#.blocks.#.conv_dw.*
	encoder.stages.#.layers.#.layernorm.*                -> stages.#.blocks.#.norm.*
	encoder.stages.#.layers.#.pwconv1.*                  -> stages.#.blocks.#.mlp.fc1.*
	encoder.stages.#.layers.#.pwconv2.*                  -> stages.#.blocks.#.mlp.fc2.*
	encoder.stages.#.layers.#.layer_scale_parameter      -> stages.#.blocks.#.gamma
	encoder.stages.#.layers.#.grn.*                      -> stages.#.blocks.#.mlp.grn.*
	layernorm.*                                          -> head.norm.*
	../classifier.*                                      -> head.fc.*
`

// Of the authors' own code.
const convNeXtFacebook = `
	downsample_layers.0.0.*  -> stem.0.*
	downsample_layers.0.1.*  -> stem.1.*
	downsample_layers.#.0.*  -> stages.#.downsample.0.*
	downsample_layers.#.1.*  -> stages.#.downsample.1.*
	stages.#.#.dwconv.*      -> stages.#.blocks.#.conv_dw.*
	stages.#.#.norm.*        -> stages.#.blocks.#.norm.*
	stages.#.#.pwconv1.*     -> stages.#.blocks.#.mlp.fc1.*
	stages.#.#.pwconv2.*     -> stages.#.blocks.#.mlp.fc2.*
	stages.#.#.gamma         -> stages.#.blocks.#.gamma
	stages.#.#.grn.gamma     -> stages.#.blocks.#.mlp.grn.weight
	stages.#.#.grn.beta      -> stages.#.blocks.#.mlp.grn.bias
	norm.*                   -> head.norm.*
	head.*                   -> head.fc.*
`

const swinTransformers = `
	embeddings.patch_embeddings.projection.*                  -> patch_embed.proj.*
	embeddings.norm.*                                         -> patch_embed.norm.*
	encoder.layers.#-1.downsample.reduction.*                 -> layers.#.downsample.reduction.*
	encoder.layers.#-1.downsample.norm.*                      -> layers.#.downsample.norm.*
	encoder.layers.#.blocks.#.layernorm_before.*              -> layers.#.blocks.#.norm1.*
	encoder.layers.#.blocks.#.attention.self.{query+key+value}.* -> layers.#.blocks.#.attn.qkv.*
	encoder.layers.#.blocks.#.attention.{q_proj+k_proj+v_proj}.* -> layers.#.blocks.#.attn.qkv.*
	encoder.layers.#.blocks.#.attention.(self|relative_position_bias).relative_position_bias_table -> layers.#.blocks.#.attn.relative_position_bias_table
	encoder.layers.#.blocks.#.attention.(output.dense|o_proj).* -> layers.#.blocks.#.attn.proj.*
	encoder.layers.#.blocks.#.layernorm_after.*               -> layers.#.blocks.#.norm2.*
	encoder.layers.#.blocks.#.(intermediate.dense|mlp.fc1).*  -> layers.#.blocks.#.mlp.fc1.*
	encoder.layers.#.blocks.#.(output.dense|mlp.fc2).*        -> layers.#.blocks.#.mlp.fc2.*
	layernorm.*                                               -> norm.*
	../classifier.*                                           -> head.fc.*
`

// Of Microsoft's own code, and of timm before version 0.9: a stage ends with the merging of patches.
const swinMicrosoft = `
	layers.#-1.downsample.reduction.* -> layers.#.downsample.reduction.*
	layers.#-1.downsample.norm.*      -> layers.#.downsample.norm.*
	head.*                            -> head.fc.*
	**                                -> **
`

const resNetTransformers = `
	embedder.embedder.convolution.*                             -> conv1.*
	embedder.embedder.normalization.*                           -> bn1.*
	encoder.stages.#-1.layers.#.layer.#-1.convolution.*         -> layer#.#.conv#.*
	encoder.stages.#-1.layers.#.layer.#-1.normalization.*       -> layer#.#.bn#.*
	encoder.stages.#-1.layers.#.shortcut.convolution.*          -> layer#.#.downsample.0.*
	encoder.stages.#-1.layers.#.shortcut.normalization.*        -> layer#.#.downsample.1.*
	../classifier.1.*                                           -> fc.*
`

func (v visionTransformer) plain() backbone.Arch { return v }

func (v visionTransformer) dialects() []dialect {
	transformers := func(a backbone.Arch) backbone.Arch {
		n := a.(visionTransformer)
		switch {
		case n.pool == attentionPool:
			n.gelu = tanhGELU // of SigLIP, in both of its versions
		case !n.clip && !n.layerScale:
			n.eps = 1e-12
		}
		n.aliased = n.registers == 0
		return n
	}
	return []dialect{
		{by: transformersNames, table: vitTransformers, beside: []string{"embeddings.mask_token"}, build: transformers, finish: v.withoutClassPosition},
		{by: transformersNames, table: clipTransformers, beside: []string{"embeddings.position_ids"}, build: transformers},
		{by: "OpenAI's and OpenCLIP's code", table: clipOpen, beside: []string{"proj"}},
		{by: torchvisionNames, table: vitTorchvision},
		{by: "the authors of DINOv2", table: dinov2Names, beside: []string{"mask_token"}, finish: v.withoutClassPosition},
	}
}

// withoutClassPosition adds the position of the class token to the token itself, where a network has
// positions for patches only. timm has done so with the files that it keeps.
func (v visionTransformer) withoutClassPosition(ours map[string]weights.Tensor) error {
	token, ok := ours["cls_token"]
	positions, all := ours["pos_embed"]
	if !ok || !all || !v.patchesOnly || positions.Len() != (v.grid*v.grid+1)*v.width || token.Len() != v.width {
		return nil
	}
	sum, err := token.Float32()
	if err != nil {
		return err
	}
	first, err := positions.As("", []int{v.width}, 0).Float32()
	if err != nil {
		return err
	}
	for i := range sum {
		sum[i] += first[i]
	}
	ours["cls_token"] = weights.FromFloat32("", []int{1, 1, v.width}, sum)
	ours["pos_embed"] = positions.As("", []int{1, v.grid * v.grid, v.width}, v.width)
	return nil
}

func (c convNeXt) plain() backbone.Arch {
	c.torchvision = false
	return c
}

func (c convNeXt) otherNames() []otherNames {
	by := torchvisionNames
	if c.torchvision {
		by = "timm"
	}
	c.torchvision = !c.torchvision
	return []otherNames{{by, c}}
}

func (c convNeXt) dialects() []dialect {
	return []dialect{
		{by: transformersNames, table: convNeXtTransformers},
		{by: "the authors of ConvNeXt", table: convNeXtFacebook},
	}
}

func (s swin) plain() backbone.Arch {
	s.torchvision = false
	return s
}

func (s swin) otherNames() []otherNames {
	by := torchvisionNames
	if s.torchvision {
		by = "timm"
	}
	s.torchvision = !s.torchvision
	return []otherNames{{by, s}}
}

func (s swin) dialects() []dialect {
	beside := []string{".relative_position_index", ".attn_mask"}
	return []dialect{
		{by: transformersNames, table: swinTransformers, beside: beside},
		{by: "Microsoft's code", table: swinMicrosoft, beside: beside},
	}
}

func (n resNet) plain() backbone.Arch { return n }

func (n resNet) dialects() []dialect {
	return []dialect{{by: transformersNames, table: resNetTransformers}}
}
