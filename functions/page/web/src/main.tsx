import { render } from "preact";
import "./style.css";

render(<h1>Audit-log export</h1>, document.getElementById("page")!);
