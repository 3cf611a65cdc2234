"""What a process tells of itself: metrics, dashboards, alerts, traces."""
