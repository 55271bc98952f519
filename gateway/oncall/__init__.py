"""What on-call and the privacy desk do with the topics: look, explain, hold, replay, disclose. Never a second path to
GeNiE: whatever is to be sent is asked for on a topic, and a lane decides."""
