import { render } from "preact";
import { App } from "./app.tsx";
import { startLive } from "./live/live.ts";
import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/bar.css";
import "./styles/overview.css";
import "./styles/panels.css";
import "./styles/heat.css";
import "./styles/trace.css";
import "./styles/pages.css";

const place = document.querySelector("#console");
if (place) {
  startLive();
  render(<App />, place);
}
