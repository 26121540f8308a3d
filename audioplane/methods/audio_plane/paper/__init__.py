"""What re-runs the Audio-Plane paper: its tables, figures and widgets, and a look inside its field."""
