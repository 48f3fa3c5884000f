import { startGcsPlaces } from "../../servers/gcs-places.ts";
import { networkProgramSuite } from "../../suites/network-program-suite.ts";

networkProgramSuite({ name: "gcs", start: startGcsPlaces });
