"""The expression generator that ships: its data (`data`), training (`training`), measures (`examine`), card."""
