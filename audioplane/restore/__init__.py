"""The seam between a rendered head and a torso that does not fit it: removed, and painted anew by a small U-Net.

SyncTalk++, Torso-Inpainting Restorer (Sec. III-F). `training.train` learns one for a subject from its frames alone,
whatever method its head is of; `restorer.Restorer` repairs rendered pictures.
"""
