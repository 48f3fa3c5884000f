import { startGcsPlaces } from "../../servers/gcs-places.ts";
import { secretsSuite } from "../../suites/secrets-suite.ts";

secretsSuite({ name: "gcs", start: startGcsPlaces });
