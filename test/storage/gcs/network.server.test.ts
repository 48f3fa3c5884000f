import { startGcsPlaces } from "../../servers/gcs-places.ts";
import { networkSuite } from "../../suites/network-suite.ts";

networkSuite({ name: "gcs", start: startGcsPlaces });
