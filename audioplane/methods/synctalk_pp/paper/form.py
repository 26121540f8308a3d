"""The form of the paper's user study: five criteria, rated from 1 to 5 (SyncTalk++, Table V)."""

from audioplane.evaluation.user_study import Form

FORM = Form(
    ("Lip-sync Accuracy", "Expression-sync Accuracy", "Pose-sync Accuracy", "Image Quality", "Video Realness"), 1, 5
)
"""For `widgets.UserStudy(clips, form=FORM)`."""
