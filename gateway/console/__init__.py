"""The web console below /console/: pages made on the server, for those who run no dashboards of their own."""
