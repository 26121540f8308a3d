"""The second face: speakers on the mesh of ICT-FaceKit, for users who fetched it (`audioplane fetch ict-facekit`)."""
