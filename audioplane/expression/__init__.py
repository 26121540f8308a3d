"""Expression from a voice: 52 blendshapes from its sound, and a VQ-VAE that brings them into a person's range.

SyncTalk++, OOD Audio Expression Generator (Sec. III-E). `generator.ExpressionGenerator` is both, as they ship;
`pretrained.expression` is how they were made.
"""
